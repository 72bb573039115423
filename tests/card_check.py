#!/usr/bin/env python3
"""Recomputes the numbers of a model card from the predictions: card_check.py MODEL.card.md rows.csv

Written apart from the program, in plain Python, from the definitions alone. It reads the card's last test, for which
rows.csv is what `mien eval --predictions rows.csv` wrote. Numbers must agree to their last printed digit; intervals by
bootstrap, which depend on random numbers, within what 2,000 draws can tell. The exit status is 1 when one does not."""
import csv
import math
import random
import re
import struct
import sys
from collections import defaultdict


def cells(line):
    parts = re.split(r'(?<!\\)\|', line.strip())[1:-1]
    return [re.sub(r'\\(.)', r'\1', p.strip()) for p in parts]


def tables(lines):
    """(words before it, header, rows) of each table."""
    before, i, out = '', 0, []
    while i < len(lines):
        if lines[i].startswith('|') and i + 1 < len(lines) and lines[i + 1].startswith('|---'):
            header, rows = cells(lines[i]), []
            i += 2
            while i < len(lines) and lines[i].startswith('|'):
                rows.append(cells(lines[i]))
                i += 1
            out.append((before, header, rows))
        else:
            if lines[i].strip():
                before = lines[i]
            i += 1
    return out


def single(text):
    """The nearest single-precision number: probabilities were one."""
    return struct.unpack('f', struct.pack('f', float(text)))[0]


class Head:
    def __init__(self, name, rows, fields):
        prefix = name + '_p_'
        self.name = name
        self.classes = [f[len(prefix):] for f in fields if f.startswith(prefix)]
        self.rows = []
        for r in rows:
            if r[name] == '':
                continue
            p = [single(r[prefix + c]) for c in self.classes]
            best = p.index(max(p))
            assert self.classes[best] == r[name + '_predicted'], 'the prediction is not the most probable class: ' + r['id']
            self.rows.append({'label': self.classes.index(r[name]), 'said': best, 'p': p, 'row': r})


def wilson(hits, n):
    z = 1.959963984540054
    p, q = hits / n, z * z / n
    half = z * math.sqrt(p * (1 - p) / n + q / (4 * n))
    return (0 if hits == 0 else (p + q / 2 - half) / (1 + q)), (1 if hits == n else (p + q / 2 + half) / (1 + q))


def accuracy(rows):
    return sum(r['label'] == r['said'] for r in rows) / len(rows)


def scores_by_class(rows, k):
    hit = sum(r['label'] == k and r['said'] == k for r in rows)
    said = sum(r['said'] == k for r in rows)
    support = sum(r['label'] == k for r in rows)
    return {'precision': hit / said if said else None, 'recall': hit / support if support else None,
            'f1': 2 * hit / (said + support) if said + support else None, 'pictures': support}


def macro_f1(rows):
    occurring = {r['label'] for r in rows} | {r['said'] for r in rows}
    return sum(scores_by_class(rows, k)['f1'] for k in occurring) / len(occurring)


def weighted_f1(rows, classes):
    return sum((scores_by_class(rows, k)['f1'] or 0) * scores_by_class(rows, k)['pictures'] for k in range(classes)) / len(rows)


def loss(rows):
    return -sum(math.log(max(r['p'][r['label']], 1e-30)) for r in rows) / len(rows)


def calibration_error(rows):
    bins = defaultdict(list)
    for r in rows:
        confidence = r['p'][r['said']]
        bins[min(max(math.ceil(confidence * 15), 1), 15)].append((confidence, r['label'] == r['said']))
    return sum(abs(sum(right for _, right in b) - sum(c for c, _ in b)) for b in bins.values()) / len(rows)


def bootstrap(rows, measure, draws):
    clusters = defaultdict(list)
    for r in rows:
        clusters[r['row']['cluster']].append(r)
    keys, rng, values = list(clusters), random.Random(5), []
    for _ in range(draws):
        sample = [r for _ in keys for r in clusters[rng.choice(keys)]]
        values.append(measure(sample))
    values.sort()
    cut = draws // 40
    return values[cut], values[-1 - cut], len(keys)


class Check:
    def __init__(self):
        self.count = self.wrong = 0

    def equal(self, what, printed, value, scale, digits):
        """`printed` is `value` times scale with so many digits behind the point."""
        self.count += 1
        text = printed.replace('%', '').strip()
        if value is None or text == '-':
            good = value is None and text == '-'
        else:
            good = abs(float(text) - scale * value) <= 0.51 * 10 ** -digits
        if not good:
            self.wrong += 1
            print('%s: the card says %s, the predictions give %s' % (what, printed, None if value is None else scale * value))

    def pair(self, what, printed, values, scale, digits):
        text = printed.split(' to ')
        for k in range(2):
            self.equal('%s, %s end' % (what, ('lower', 'upper')[k]), text[k], values[k], scale, digits)

    def near(self, what, printed, values, scale, slack):
        text = printed.split(' to ')
        for k in range(2):
            self.count += 1
            if not abs(float(text[k]) - scale * values[k]) <= scale * slack:
                self.wrong += 1
                print('%s, %s end: the card says %s, another bootstrap %g' % (what, ('lower', 'upper')[k], text[k], scale * values[k]))


def check_overall(check, head, row, people):
    rows, what = head.rows, head.name
    hits = sum(r['label'] == r['said'] for r in rows)
    check.equal(what + ', pictures', row[1], len(rows), 1, 0)
    check.equal(what + ', right', row[2], accuracy(rows), 100, 2)
    draws = max(200, min(2000, 1000000 // len(rows)))
    if people and 0 < hits < len(rows):
        lo, hi, n = bootstrap(rows, accuracy, draws)
        check.equal(what + ', people', str(people), n, 1, 0)
        check.near(what + ', interval', row[3], (lo, hi), 100, 0.01 + 1.5 / n)
    else:
        n = people or len(rows)
        check.pair(what + ', interval', row[3], wilson(round(hits / len(rows) * n), n), 100, 2)
    lo, hi, n = bootstrap(rows, macro_f1, max(100, draws // 5))
    check.equal(what + ', macro F1', row[4], macro_f1(rows), 1, 4)
    check.near(what + ', interval of macro F1', row[5], (lo, hi), 1, 0.03 + 1.5 / n)
    check.equal(what + ', weighted F1', row[6], weighted_f1(rows, len(head.classes)), 1, 4)
    check.equal(what + ', loss', row[7], loss(rows), 1, 4)
    check.equal(what + ', calibration error', row[8], calibration_error(rows), 1, 4)


def check_classes(check, head, table):
    for row in table:
        s = scores_by_class(head.rows, head.classes.index(row[0]))
        for column, key in ((1, 'precision'), (2, 'recall'), (3, 'f1')):
            check.equal('%s, %s of %s' % (head.name, key, row[0]), row[column], s[key], 1, 4)
        check.equal('%s, pictures of %s' % (head.name, row[0]), row[4], s['pictures'], 1, 0)


def check_parts(check, head, table, threshold):
    for by, value, pictures, right, interval in table:
        if by == 'answer':
            part = [r for r in head.rows if r['p'][r['said']] >= threshold]
        elif by == 'copy':
            part = [r for r in head.rows if r['row']['copy'] == 'no']
        else:
            part = [r for r in head.rows if r['row']['by:' + by] == value]
        what = '%s, %s: %s' % (head.name, by, value)
        check.equal(what + ', pictures', pictures, len(part), 1, 0)
        check.equal(what + ', right', right, accuracy(part) if part else None, 100, 2)
        if part and interval != '-':
            check.pair(what + ', interval', interval, wilson(sum(r['label'] == r['said'] for r in part), len(part)), 100, 2)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    card = open(sys.argv[1], encoding='utf-8').read()
    with open(sys.argv[2], encoding='utf-8', newline='') as f:
        reader = csv.DictReader(f)
        rows, fields = list(reader), reader.fieldnames
    thresholds = {name: float(x) for name, x in re.findall(r'\| calibration \| (.*?): temperature .*? no class reaches ([0-9.e-]+),', card)}
    section = card.split('\n### Test ')[-1].split('\n## ')[0]
    people = {name: int(n) for name, n in re.findall(r'interval of (.*?) is by bootstrap over (\d+) people', section)}
    check, heads = Check(), {}
    for before, header, table in tables(section.split('\n')):
        if header[0] == 'head':
            for row in table:
                heads[row[0]] = Head(row[0], rows, fields)
                check_overall(check, heads[row[0]], row, people.get(row[0]))
        elif header[0] in ('class', 'by'):
            head = heads[re.match(r'\*\*(.*?)\*\*', before).group(1)]
            if header[0] == 'class':
                check_classes(check, head, table)
            else:
                check_parts(check, head, table, thresholds.get(head.name, 0))
    print('%d numbers recomputed, %d differ' % (check.count, check.wrong))
    return 1 if check.wrong or not heads else 0


if __name__ == '__main__':
    sys.exit(main())
