# mien. `make help` lists what can be made; `make config` says what was found on this machine.
# Switches, on the command line: CUDA=0|1|emulate  BLAS=openblas|none  OPENCV=auto|0|1  SAN=address|undefined|thread
# V=1 (show commands)  BUILD=dir  OPT="-O0 -g". Sources are found by wildcard: adding a file needs no edit here.

BUILD  ?= build
CUDA   ?= 0
BLAS   ?= auto
OPENCV ?= auto
OPT    ?= -O3 -g
OPENMP ?= 1
V      ?= 0
CC     ?= cc
CXX    ?= c++
PREFIX ?= /usr/local
Q      := $(if $(filter 1,$(V)),,@)
COMMA  := ,
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

# ---- what is on this machine ----------------------------------------------------------------------
PKG  := $(shell command -v pkg-config 2>/dev/null)
have  = $(if $(PKG),$(shell $(PKG) --exists $(1) 2>/dev/null && echo 1))
pc    = $(shell $(PKG) $(1) $(2) 2>/dev/null)
ARCH := $(shell uname -m)

HAVE_OPENBLAS := $(if $(filter none,$(BLAS)),,$(call have,openblas))
HDF5_PC       := $(if $(call have,hdf5),hdf5,$(if $(call have,hdf5-serial),hdf5-serial))
HAVE_HDF5     := $(if $(HDF5_PC),1)
HAVE_JSON     := $(call have,jansson)
HAVE_PNG      := $(call have,libpng)
HAVE_JPEG     := $(call have,libjpeg)
HAVE_ZLIB     := $(call have,zlib)
HAVE_CHECK    := $(call have,check)
PROTOC        := $(shell command -v protoc-c 2>/dev/null)
HAVE_PROTOBUF := $(if $(PROTOC),$(call have,libprotobuf-c))
HAVE_OPENCV   := $(if $(filter 0,$(OPENCV)),,$(if $(wildcard /usr/include/opencv4/opencv2/objdetect.hpp),1,$(call have,opencv4)))
CV_CFLAGS     := $(if $(HAVE_OPENCV),$(if $(call have,opencv4),$(call pc,--cflags,opencv4),-I/usr/include/opencv4))
FEATURES      := OPENBLAS HDF5 JSON PNG JPEG ZLIB OPENCV PROTOBUF

WARN   := -Wall -Wextra -Wshadow -Wpointer-arith -Wundef -Wvla -Wno-unknown-pragmas
DEFS   := -D_GNU_SOURCE -DMIEN_MODELS='"$(PREFIX)/share/mien/models"' $(foreach f,$(FEATURES),-DMN_HAVE_$(f)=$(if $(HAVE_$(f)),1,0))
OMPF   := $(if $(filter 1,$(OPENMP)),-fopenmp)
SANF   := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CFLAGS ?=
ALL_CFLAGS   := -std=c17 $(OPT) $(WARN) -Wstrict-prototypes -Wmissing-prototypes -fno-math-errno -fno-trapping-math \
                $(OMPF) $(SANF) $(DEFS) -I. \
                $(if $(HAVE_OPENBLAS),$(call pc,--cflags,openblas)) $(if $(HAVE_HDF5),$(call pc,--cflags,$(HDF5_PC))) \
                $(if $(HAVE_JSON),$(call pc,--cflags,jansson)) \
                $(if $(HAVE_PROTOBUF),$(call pc,--cflags,libprotobuf-c) -I$(BUILD)/made) $(CFLAGS)
ALL_CXXFLAGS := -std=c++17 $(OPT) -Wall -Wextra $(OMPF) $(SANF) $(DEFS) -I. \
                $(CV_CFLAGS) $(CXXFLAGS)
LDLIBS := $(if $(HAVE_HDF5),$(call pc,--libs,$(HDF5_PC))) $(if $(HAVE_JSON),-ljansson) $(if $(HAVE_PROTOBUF),-lprotobuf-c) \
          $(if $(HAVE_PNG),-lpng) $(if $(HAVE_JPEG),-ljpeg) $(if $(HAVE_ZLIB),-lz) \
          $(if $(HAVE_OPENBLAS),$(call pc,--libs,openblas)) -lm -lpthread
# OpenCV is linked into a library of its own, which the program loads when it needs it (apps/vision.c) and which takes
# three functions from the program. Its pkg-config names every module; only these are used.
VISION  := $(if $(HAVE_OPENCV),$(BUILD)/libmien_vision.so)
CV_LIBS := -lopencv_objdetect -lopencv_highgui -lopencv_videoio -lopencv_imgcodecs -lopencv_imgproc -lopencv_core
# AddressSanitizer looks for C++'s throw when the program starts, before that library is loaded.
LDLIBS  += $(if $(and $(VISION),$(SAN)),-Wl$(COMMA)--no-as-needed -lstdc++ -Wl$(COMMA)--as-needed)
LDLIBS  += $(if $(VISION),$(foreach f,mn_fail mn_image_reserve face_merge,-Xlinker --export-dynamic-symbol=$(f)))

# With GCC the library's parallel loops run on tensor/team.c instead of libgomp: see there.
IS_GCC := $(if $(shell $(CC) -dM -E - </dev/null 2>/dev/null | grep __clang__),,$(filter 1,$(OPENMP)))
OBJCOPY ?= objcopy
TEAM    = $(if $(IS_GCC),$(Q)$(OBJCOPY) --redefine-sym GOMP_parallel=mn__team_run \
          --redefine-sym omp_get_thread_num=mn__team_thread --redefine-sym omp_get_num_threads=mn__team_size $@)

# ---- sources --------------------------------------------------------------------------------------
# cpu/*.c are kernels: each file is compiled once per variant, type and instruction set (cpu/kernel.h).
# The best one that the processor has is chosen when a context is created (MIEN_CPU=plain|avx2|avx512).
ifeq ($(ARCH),x86_64)
VARIANTS := f32_plain f64_plain f32_avx2 f32_avx512
else
VARIANTS := f32_plain f64_plain
endif
# Kernels may fuse a multiplication and an addition (ISO C alone forbids it): one rounding less, twice the speed.
ISA_plain  := -ffp-contract=fast
ISA_avx2   := -ffp-contract=fast -march=x86-64-v3
ISA_avx512 := -ffp-contract=fast -march=x86-64-v4 -mprefer-vector-width=512

LIB_SRC    := $(filter-out data/export_c/kernels.c,$(wildcard tensor/*.c autograd/*.c layers/*.c optim/*.c data/*.c data/*/*.c))
CPU_SRC    := $(wildcard cpu/*.c)
APP_SRC    := $(wildcard apps/*.c)
TEST_SRC   := $(wildcard tests/*.c)
OBJ         = $(patsubst %,$(BUILD)/obj/%.o,$(1))
# The reader and writer of ONNX's messages are made from data/onnx/onnx.proto by protobuf-c's compiler.
MADE_OBJ   := $(if $(HAVE_PROTOBUF),$(BUILD)/obj/made/onnx.pb-c.o)
LIB_OBJ    := $(call OBJ,$(LIB_SRC)) $(MADE_OBJ) $(foreach v,$(VARIANTS),$(patsubst %.c,$(BUILD)/obj/%_$(v).o,$(CPU_SRC)))
APP_OBJ    := $(call OBJ,$(APP_SRC))
TEST_OBJ   := $(call OBJ,$(TEST_SRC)) $(filter-out $(call OBJ,apps/main.c),$(APP_OBJ))
LINK        = $(CC) $(OPT) $(OMPF) $(SANF) $(LDFLAGS)
include cuda/cuda.mk

# ---- what can be made ------------------------------------------------------------------------------
.PHONY: cross all help config deps demo seed1 seed2 clips test check tests-built gradcheck debug asan ubsan valgrind coverage mutants docs-test examples fuzz format lint install clean FORCE
all: $(BUILD)/libmien.a $(BUILD)/mien $(VISION)  ## the library and the program (build/mien)

help:  ## this list
	@sed -n 's/^\([a-z0-9_-]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s'|' 2>/dev/null || \
	 sed -n 's/^\([a-z0-9_-]*\):.*##  *\(.*\)/  make \1   \2/p' $(MAKEFILE_LIST)

$(BUILD)/libmien.a: $(LIB_OBJ) $(BUILD)/objects
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)
$(BUILD)/mien: $(APP_OBJ) $(BUILD)/libmien.a
	@echo "  link   $@"
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)
$(BUILD)/run-tests: $(TEST_OBJ) $(BUILD)/libmien.a
	@echo "  link   $@"
	$(Q)$(LINK) -o $@ $^ $(if $(HAVE_CHECK),$(call pc,--libs,check)) $(LDLIBS)
$(BUILD)/libmien_vision.so: $(call OBJ,apps/vision_opencv.cpp)
	@echo "  link   $@"
	$(Q)$(CXX) $(OPT) $(OMPF) $(SANF) -shared -o $@ $^ $(CV_LIBS)

JOBS   := -j$(shell nproc 2>/dev/null || echo 2)
deps:  ## installs the packages that are missing (Debian, Ubuntu); says which
	$(Q)sh .ci/deps.sh
demo: deps  ## trains a two-headed network on rendered faces before your eyes: 3 minutes, results in build/demo/; FACE=photo.jpg: your picture at its end
	$(Q)$(MAKE) $(JOBS) all
	$(Q)MIEN=$(BUILD)/mien FACE='$(FACE)' sh apps/demo.sh $(BUILD)/demo
seed1: all  ## S1's recipe on the data at hand: docs/results/seed1.md; DATA=folder, SEED_EPOCHS, SEED_ROWS, ...: apps/seed.sh
	$(Q)MIEN=$(BUILD)/mien sh apps/seed1.sh
seed2: all  ## S2's recipe and variations: docs/results/seed2.md
	$(Q)MIEN=$(BUILD)/mien sh apps/seed2.sh
clips: all  ## ConvLSTM2D and LSTM on drawn clips against single frames and averaging: docs/results/clips.md
	$(Q)MIEN=$(BUILD)/mien sh apps/clips.sh
test: deps  ## installs what is missing, builds, runs every test; CUDA=emulate: the emulated GPU's alone
ifeq ($(CUDA),emulate)
	$(Q)$(MAKE) CUDA=0 $(JOBS) emu-built emu-ops-built
	$(Q)$(MAKE) CUDA=0 emu-test emu-ops-test
else
	$(Q)$(MAKE) $(JOBS) tests-built
	$(Q)$(MAKE) check
ifeq ($(CUDA),0)
	$(Q)$(MAKE) $(JOBS) emu-ops-built
	$(Q)$(MAKE) emu-ops-test EMU_ORDERS=random:1
endif
endif
check: tests-built  ## runs the tests, installing nothing; SUITE="name name" runs some
	$(Q)MIEN_BIN=$(abspath $(BUILD)/mien) $(BUILD)/run-tests $(SUITE)
tests-built: $(BUILD)/run-tests $(BUILD)/mien $(VISION)
gradcheck: all  ## compares every operation's backward with finite differences
	$(Q)$(BUILD)/mien gradcheck

examples: $(patsubst docs/examples/%.c,$(BUILD)/examples/%,$(wildcard docs/examples/*.c))  ## the programs of docs/examples
$(BUILD)/examples/%: docs/examples/%.c $(BUILD)/libmien.a
	@mkdir -p $(@D); echo "  link   $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/run_model: tests/keras/run_model.c $(BUILD)/libmien.a  # for tests/keras/zoo.py
	@mkdir -p $(@D); echo "  link   $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LDLIBS)

# Fuzzers (clang): every tests/fuzz/fuzz_*.c for FUZZ_SECONDS; what they find is kept in build/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := BUILD=$(BUILD)/fuzz CC=clang OPENMP=0 OPT="-O1 -g"
fuzz:  ## fuzzes every parser for FUZZ_SECONDS each (60); needs clang
	$(Q)$(MAKE) $(JOBS) $(FUZZ_FLAGS) SAN=fuzzer-no-link,address $(BUILD)/fuzz/libmien.a
	$(Q)set -e; for f in $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))); do \
	    [ $(BUILD)/fuzz/$$f -nt $(BUILD)/fuzz/libmien.a ] || rm -f $(BUILD)/fuzz/$$f; \
	    $(MAKE) $(FUZZ_FLAGS) SAN=fuzzer,address $(BUILD)/fuzz/$$f; mkdir -p $(BUILD)/fuzz/corpus/$$f; \
	    echo "  fuzz   $$f, $(FUZZ_SECONDS) s"; $(BUILD)/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=100 -max_len=65536 \
	        -print_final_stats=1 -verbosity=0 -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus/$$f; done
$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard tests/fuzz/*.h)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(BUILD)/libmien.a $(LDLIBS)

bench: all  ## a training step of each main network: images/s, GFLOP/s, memory
	$(Q)for n in seed2 mini-xception vgg; do $(BUILD)/mien bench --net $$n; done
bench-peers: all  ## the same beside PyTorch and ONNX Runtime, in turn (tests/bench/peers.sh says what they need)
	$(Q)MIEN=$(BUILD)/mien sh tests/bench/peers.sh

cross:  ## builds the library and the program for aarch64 without optional libraries, in build/aarch64 (gcc-aarch64-linux-gnu)
	$(Q)$(MAKE) $(JOBS) BUILD=$(BUILD)/aarch64 ARCH=aarch64 CC=aarch64-linux-gnu-gcc OBJCOPY=aarch64-linux-gnu-objcopy \
	    PKG= BLAS=none OPENCV=0 all
debug:  ## build/debug: -O0 -g3, for gdb
	$(Q)$(MAKE) $(JOBS) BUILD=$(BUILD)/debug OPT="-O0 -g3" all
asan:  ## the tests under AddressSanitizer and LeakSanitizer, in build/asan
	$(Q)$(MAKE) $(JOBS) BUILD=$(BUILD)/asan SAN=address OPT="-O1 -g" tests-built
	$(Q)LSAN_OPTIONS=suppressions=tests/lsan.supp $(MAKE) BUILD=$(BUILD)/asan SAN=address OPT="-O1 -g" check
ubsan:  ## the tests under UndefinedBehaviorSanitizer, in build/ubsan
	$(Q)$(MAKE) $(JOBS) BUILD=$(BUILD)/ubsan SAN=undefined OPT="-O1 -g" tests-built
	$(Q)$(MAKE) BUILD=$(BUILD)/ubsan SAN=undefined OPT="-O1 -g" check
valgrind: tests-built  ## the tests under Valgrind's memcheck (slow)
	$(Q)MIEN_BIN=$(abspath $(BUILD)/mien) OMP_NUM_THREADS=2 CK_FORK=no CK_DEFAULT_TIMEOUT=0 valgrind -q --error-exitcode=9 \
	    --leak-check=full --errors-for-leak-kinds=definite --suppressions=tests/valgrind.supp $(BUILD)/run-tests $(SUITE)
MUTANTS :=
mutants: tests-built  ## plants faults in the operations and expects the tests to catch each; MUTANTS=text takes some
	$(Q)BUILD=$(BUILD) CC='$(CC)' FLAGS='$(ALL_CFLAGS)' LINK='$(LINK)' OBJECTS='$(TEST_OBJ)' MUTANTS='$(MUTANTS)' \
	    LIBS='$(if $(HAVE_CHECK),$(call pc,--libs,check)) $(LDLIBS)' sh tests/mutants.sh
docs-test:  ## follows the how-to pages to the letter in a copy of the tree
	$(Q)sh tests/docs_test.sh docs/autograd.md docs/add-an-op.md $(wildcard docs/add-a-layer.md)
coverage:  ## lines covered by the tests, in build/coverage (needs gcov)
	$(Q)$(MAKE) $(JOBS) BUILD=$(BUILD)/coverage OPT="-O0 -g --coverage" tests-built
	$(Q)$(MAKE) BUILD=$(BUILD)/coverage OPT="-O0 -g --coverage" check
	$(Q)cd $(BUILD)/coverage && find obj -name '*.gcda' | xargs gcov -n 2>/dev/null | sh $(CURDIR)/tests/coverage.sh
format:  ## clang-format over the C and C++ sources
	clang-format -i $(shell git ls-files '*.c' '*.h' '*.cpp')
lint:  ## cppcheck over the library and the program
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -I. $(DEFS) \
	    --suppress=missingIncludeSystem tensor autograd layers optim data apps
install: all  ## into PREFIX (default /usr/local): bin/mien, lib/mien/ (OpenCV's part), share/mien/models/, lib/libmien.a, include/mien/, mien.pc
	install -Dm755 $(BUILD)/mien $(DESTDIR)$(PREFIX)/bin/mien
	for l in $(VISION); do install -Dm644 $$l $(DESTDIR)$(PREFIX)/lib/mien/$$(basename $$l); done
	for m in apps/models/*; do install -Dm644 $$m $(DESTDIR)$(PREFIX)/share/mien/models/$$(basename $$m); done
	install -Dm644 $(BUILD)/libmien.a $(DESTDIR)$(PREFIX)/lib/libmien.a
	for h in tensor autograd layers optim data; do \
	    install -Dm644 $$h/$$h.h $(DESTDIR)$(PREFIX)/include/mien/$$h/$$h.h; done
	for d in unary binary loss; do \
	    install -Dm644 autograd/$$d.def $(DESTDIR)$(PREFIX)/include/mien/autograd/$$d.def; done
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	printf '%s\n' 'Name: mien' 'Description: a small deep-learning framework' "Version: $$(sed -n 's|.*APP_VERSION "\(.*\)"|\1|p' apps/app.h)" \
	    'Cflags: -I$(PREFIX)/include/mien' 'Libs: -L$(PREFIX)/lib -lmien $(OMPF) $(filter-out -Xlinker --export%,$(LDLIBS))' \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/mien.pc

# What was found, and what it means for you.
report = @printf '  %-10s %-4s %s\n' '$(1)' '$(if $(HAVE_$(1)),yes,no)' '$(if $(HAVE_$(1)),$(2),$(3))'
config:  ## what was found on this machine and what it means for you
	@echo "compiler     $(shell $(CC) --version 2>/dev/null | head -1)"
	@echo "machine      $(ARCH), $(shell nproc 2>/dev/null) processors; kernels: $(VARIANTS)"
	$(call report,OPENBLAS,matrix products by OpenBLAS,own matrix products; package libopenblas-dev)
	$(call report,HDF5,model files,no model files: train cannot save; package libhdf5-dev)
	$(call report,JSON,networks from JSON; logs,no JSON networks and no model files; package libjansson-dev)
	$(call report,PNG,PNG pictures,no PNG; package libpng-dev)
	$(call report,JPEG,JPEG pictures,no JPEG; package libjpeg-dev)
	$(call report,ZLIB,gzipped idx files,only unpacked idx files; package zlib1g-dev)
	$(call report,PROTOBUF,ONNX files,no ONNX files; packages libprotobuf-c-dev protobuf-c-compiler)
	$(call report,OPENCV,finds faces; reads video and cameras,predict takes cropped faces only; packages libopencv-objdetect-dev libopencv-highgui-dev libopencv-videoio-dev opencv-data)
	$(call report,CHECK,make test,make test cannot run; package check)
	@echo "CUDA=$(CUDA)      $(if $(filter 0,$(CUDA)),the CPU computes; CUDA=1 builds the GPU kernels and CUDA=emulate runs them on the CPU,see docs)"

# A change of switches rebuilds: the flags are a file that every object depends on.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) team:$(IS_GCC) $(ALL_CFLAGS) $(ISA_plain) $(ISA_avx2) $(ISA_avx512) $(ALL_CXXFLAGS) $(LDLIBS)' | cmp -s - $@ || \
	 echo '$(CC) team:$(IS_GCC) $(ALL_CFLAGS) $(ISA_plain) $(ISA_avx2) $(ISA_avx512) $(ALL_CXXFLAGS) $(LDLIBS)' > $@
# The library is made anew when its list of objects changes, as with CUDA.
$(BUILD)/objects: FORCE
	@mkdir -p $(@D); echo '$(LIB_OBJ)' | cmp -s - $@ || echo '$(LIB_OBJ)' > $@
FORCE:

$(BUILD)/made/onnx.pb-c.h: data/onnx/onnx.proto
	@mkdir -p $(@D); echo "  proto  $<"
	$(Q)$(PROTOC) --c_out=$(@D) -I$(<D) $<
$(BUILD)/made/onnx.pb-c.c: $(BUILD)/made/onnx.pb-c.h ;
$(BUILD)/obj/made/onnx.pb-c.o: $(BUILD)/made/onnx.pb-c.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc     $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
$(call OBJ,$(LIB_SRC) $(TEST_SRC) $(APP_SRC)): | $(if $(HAVE_PROTOBUF),$(BUILD)/made/onnx.pb-c.h)

$(BUILD)/obj/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc     $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
	$(TEAM)
$(BUILD)/obj/%.cpp.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D); echo "  c++    $<"
	$(Q)$(CXX) $(ALL_CXXFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c $< -o $@
# The kernels of `mien export --c`, as strings: pairs of a section's name and its text.
$(BUILD)/gen/export_c_kernels.inc: data/export_c/kernels.c
	@mkdir -p $(@D)
	$(Q)sed -e '1,/^\/\*@ /{/^\/\*@ /!d}' -e 's/[\\"]/\\&/g' -e 't' $< | \
	    sed -e 's/^\/\*@ \([a-z_0-9]*\) \*\/$$/,"\1",/' -e t -e 's/.*/"&\\n"/' | sed '1s/^,//' > $@
$(BUILD)/obj/data/export_c/write.c.o: $(BUILD)/gen/export_c_kernels.inc
$(BUILD)/obj/data/export_c/write.c.o: ALL_CFLAGS += -I$(BUILD)/gen
define kernel_rule
$(BUILD)/obj/cpu/%_$(1).o: cpu/%.c $(BUILD)/flags
	@mkdir -p $$(@D); echo "  cc     $$< ($(1))"
	$(Q)$$(CC) $$(ALL_CFLAGS) $(ISA_$(lastword $(subst _, ,$(1)))) -DMN_VARIANT=$(1) \
	    -DREAL=$(if $(findstring f64,$(1)),double,float) -DREAL_IS_$(if $(findstring f64,$(1)),F64,F32)=1 -MMD -MP -c $$< -o $$@
	$$(TEAM)
endef
$(foreach v,$(VARIANTS),$(eval $(call kernel_rule,$(v))))

clean:  ## removes build/
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
