# Part of the Makefile: how .cu files are built. docs/emulator.md describes the emulator.
#   CUDA=0        not at all
#   CUDA=1        by nvcc, for sm_75 to sm_120 and as PTX; CUDA_ARCH=sm_90 builds for one GPU, CUDA_ARCH=native for the
#                 one in this machine
#   CUDA=emulate  by $(CXX), with cuda/emu in the place of CUDA's runtime. EMU_CHECK=0 leaves the checker out (for
#                 speed, and with SAN=address); EMU_OPT="-O0" is for a debugger
NVCC      ?= $(or $(shell command -v nvcc 2>/dev/null),$(wildcard /usr/local/cuda/bin/nvcc),nvcc)
CUDA_ARCH ?= all
EMU_CHECK ?= $(if $(SAN),0,1)
EMU_OPT   ?= -O1

# ---- the emulator -----------------------------------------------------------------------------------
# -fsanitize=thread without ThreadSanitizer's runtime: the compiler's calls before each access go to cuda/emu/check.cpp.
# The copies that a compiler makes with memcpy go there too: objcopy gives them the names that newer clangs use.
EMU_CLANG    := $(findstring clang,$(shell $(CXX) --version 2>/dev/null))
EMU_CHECKS   := -fsanitize=thread,bounds,alignment $(if $(EMU_CLANG),-fno-sanitize=local-bounds \
                $(foreach f,memcpy memmove memset,-fno-builtin-$(f)) -mllvm -tsan-instrument-read-before-write=1)
# Large frames are probed page by page: a thread's full stack meets its guard instead of stepping over it.
EMU_CXXFLAGS := -fstack-clash-protection -std=c++17 -g -Wall -Wextra -Wshadow -Wno-unknown-pragmas -ffp-contract=off -I.
EMU_RUNTIME  := $(wildcard cuda/emu/*.cpp)

# ---- nvcc ---------------------------------------------------------------------------------------------
# Machine code for every GPU from 2018 on, and PTX for those to come. Three front ends serve all of them: nothing here
# depends on more than __CUDA_ARCH__ >= 800, and a front end takes longer than the machine code that is made of it.
NVCC_ALL    := -gencode 'arch=compute_75,code=sm_75' -gencode 'arch=compute_80,code=[sm_80,sm_86,sm_89]' \
               -gencode 'arch=compute_90,code=[sm_90,sm_100,sm_120,compute_90]'
# native: of the GPU in this machine, 90 for compute capability 9.0
ifeq ($(CUDA_ARCH),native)
CUDA_NATIVE := $(shell { $(dir $(lastword $(NVCC)))__nvcc_device_query || nvidia-smi --query-gpu=compute_cap --format=csv,noheader; } \
               2>/dev/null | tr ',' '\n' | tr -d ' .' | sed -n '/^[0-9][0-9]*$$/{s/^/sm_/p;q;}')
ifeq ($(CUDA_NATIVE),)
$(error CUDA_ARCH=native builds for the GPU of this machine, and none is found; hint: CUDA_ARCH=sm_90 (or another) builds for one that is elsewhere, CUDA_ARCH=all for all)
endif
endif
NVCC_ARCH    = $(if $(filter all,$(CUDA_ARCH)),$(NVCC_ALL),-arch=$(if $(filter native,$(CUDA_ARCH)),$(CUDA_NATIVE),$(CUDA_ARCH)))
NVCC_FLAGS  := -std=c++17 -O3 -lineinfo -Werror all-warnings -Xcompiler=-Wall,-Wextra,-Wno-unused-function \
               $(NVCC_ARCH) -I.
NVCC_HOME    = $(patsubst %/bin/nvcc,%,$(realpath $(shell command -v $(lastword $(NVCC)) 2>/dev/null)))

# ---- in the library ----------------------------------------------------------------------------------
# The kernels go into the library as one object: autograd/ops.c names them weakly, and a linker takes nothing out of
# an archive for a weak name.
CUDA_SRC := $(wildcard cuda/*.cu cuda/ladder/*.cu)
# These sources know whether there is CUDA; with it they are compiled once more, under another name.
CUDA_AWARE := $(patsubst %,$(BUILD)/obj/%.o,tensor/context.c autograd/ops.c apps/bench_ladder.c)
WITH_CUDA   = $(foreach o,$(1),$(if $(filter $(o),$(CUDA_AWARE)),$(o:.c.o=.c.cuda.o),$(o)))
EMULATED   = $(BUILD)/obj/cuda/kernels.$(if $(filter 1,$(EMU_CHECK)),checked,plain).o $(call OBJ,$(EMU_RUNTIME))
EMULATED_LIB := $(call WITH_CUDA,$(LIB_OBJ)) $(EMULATED)
ifeq ($(CUDA),emulate)
LIB_OBJ   := $(EMULATED_LIB)
LINK      := $(CXX) $(OPT) $(OMPF) $(SANF) $(LDFLAGS)
else ifeq ($(CUDA),1)
ifeq ($(NVCC_HOME),)
$(error CUDA=1 wants nvcc, and there is no $(lastword $(NVCC)); hint: install the CUDA toolkit (nvidia-cuda-toolkit), or give NVCC=/path/to/nvcc; CUDA=emulate needs neither nvcc nor a GPU)
endif
LIB_OBJ   := $(call WITH_CUDA,$(LIB_OBJ)) $(BUILD)/obj/cuda/kernels.nvcc.o
LINK      := $(CXX) $(OPT) $(OMPF) $(SANF) $(LDFLAGS)
LDLIBS    += -L$(NVCC_HOME)/lib64 -L$(NVCC_HOME)/targets/$(ARCH)-linux/lib -lcudart_static -ldl -lrt
else ifneq ($(CUDA),0)
$(error CUDA=$(CUDA) is not understood; wanted 0, 1 or emulate)
endif
ifneq ($(CUDA),0)
APP_OBJ  := $(call WITH_CUDA,$(APP_OBJ))
TEST_OBJ := $(call WITH_CUDA,$(TEST_OBJ))
endif
$(BUILD)/obj/%.c.cuda.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc     $< (with CUDA)"
	$(Q)$(CC) $(ALL_CFLAGS) -DMN_HAVE_CUDA=1 -MMD -MP -c $< -o $@
	$(TEAM)
define kernels_rule
$(BUILD)/obj/cuda/kernels.$(1).o: $(patsubst %,$(BUILD)/obj/%.$(1).o,$(CUDA_SRC))
	$$(Q)$$(CXX) -r -nostdlib -o $$@ $$^
endef
$(foreach k,plain checked nvcc,$(eval $(call kernels_rule,$(k))))

# The switches of these rules; every object below depends on them.
$(BUILD)/cuda-flags: FORCE
	@mkdir -p $(@D); echo '$(CXX) $(EMU_CXXFLAGS) $(EMU_OPT) $(EMU_CHECKS) $(SANF) $(NVCC) $(NVCC_FLAGS)' > $@.new; \
	 cmp -s $@.new $@ && rm $@.new || mv $@.new $@

EMU_CC = $(CXX) $(EMU_CXXFLAGS) -MMD -MP
$(BUILD)/obj/%.cu.plain.o: %.cu $(BUILD)/cuda-flags
	@mkdir -p $(@D); echo "  c++    $<"
	$(Q)$(EMU_CC) $(EMU_OPT) $(SANF) $(DEFS) -x c++ -c $< -o $@
$(BUILD)/obj/%.cu.checked.o: %.cu $(BUILD)/cuda-flags
	@mkdir -p $(@D); echo "  c++    $< (checked)"
	$(Q)$(EMU_CC) $(EMU_OPT) $(EMU_CHECKS) $(DEFS) -x c++ -c $< -o $@
	$(Q)objcopy $(foreach f,memcpy memmove memset,--redefine-sym $(f)=__tsan_$(f)) $@
$(BUILD)/obj/%.cu.nvcc.o: %.cu $(BUILD)/cuda-flags
	@mkdir -p $(@D); echo "  nvcc   $<"
	$(Q)$(NVCC) $(NVCC_FLAGS) $(DEFS) -MMD -MF $(@:.o=.d) -c $< -o $@

# ---- the emulator's own tests -----------------------------------------------------------------------------
EMU_TESTS  := $(patsubst tests/emu/%.cu,%,$(wildcard tests/emu/*.cu))
EMU_BIN    := $(BUILD)/emu
EMU_OBJ    := $(patsubst cuda/emu/%.cpp,$(EMU_BIN)/%.o,$(EMU_RUNTIME))
EMU_ORDERS := up down random:1
$(EMU_OBJ): $(EMU_BIN)/%.o: cuda/emu/%.cpp $(BUILD)/cuda-flags
	@mkdir -p $(@D); echo "  c++    $<"
	$(Q)$(EMU_CC) -O2 -c $< -o $@
$(EMU_BIN)/%.plain: $(BUILD)/obj/tests/emu/%.cu.plain.o $(EMU_OBJ)
	$(Q)$(CXX) -o $@ $^
$(EMU_BIN)/%.checked: $(BUILD)/obj/tests/emu/%.cu.checked.o $(EMU_OBJ)
	$(Q)$(CXX) -o $@ $^
.SECONDARY: $(foreach t,$(EMU_TESTS),$(foreach k,plain checked nvcc,$(BUILD)/obj/tests/emu/$(t).cu.$(k).o))

# On a machine with a GPU: tests/bench/gpu_day
$(BUILD)/test_ladder: $(BUILD)/obj/tests/emu/test_ladder.cu.nvcc.o
	@echo "  link   $@"
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

.PHONY: emu-test emu-built emu-cost cuda-compile-test
emu-built: $(foreach t,$(EMU_TESTS),$(EMU_BIN)/$(t).plain $(EMU_BIN)/$(t).checked)
emu-test: emu-built  ## the CUDA emulator's own tests: kernels, runtime, planted faults
	$(Q)tests/emu/run $(EMU_BIN)
emu-cost: $(EMU_BIN)/cost.plain $(EMU_BIN)/cost.checked  ## what the emulator's barriers, shuffles and launches cost
	$(Q)echo "plain, $(EMU_OPT)"; $(EMU_BIN)/cost.plain; echo "checked, $(EMU_OPT)"; $(EMU_BIN)/cost.checked
cuda-compile-test: $(foreach t,$(EMU_TESTS),$(BUILD)/obj/tests/emu/$(t).cu.nvcc.o) $(patsubst %,$(BUILD)/obj/%.nvcc.o,$(CUDA_SRC))  ## compiles all .cu files with nvcc; needs no GPU
	$(Q)for t in $(EMU_TESTS); do mkdir -p $(BUILD)/nvcc && $(NVCC) $(NVCC_ARCH) -o $(BUILD)/nvcc/$$t $(BUILD)/obj/tests/emu/$$t.cu.nvcc.o || exit 1; done
-include $(wildcard $(EMU_BIN)/*.d)

# ---- the operations, on the emulated GPU ------------------------------------------------------------------
EMU_OPS := $(shell sh tests/emu/suites)
.PHONY: emu-ops-test emu-ops-built
$(BUILD)/run-tests-emulated: $(TEST_OBJ) $(EMULATED_LIB)
	@echo "  link   $@"
	$(Q)$(CXX) $(OPT) $(OMPF) $(SANF) -o $@ $^ $(if $(HAVE_CHECK),$(call pc,--libs,check)) $(LDLIBS)
# The program on the emulator, for tests/bench/gpu_day; EMU_CHECK=0 makes it faster.
$(BUILD)/mien-emulated: $(call WITH_CUDA,$(APP_OBJ)) $(EMULATED_LIB)
	@echo "  link   $@"
	$(Q)$(CXX) $(OPT) $(OMPF) $(SANF) -o $@ $^ $(LDLIBS)
emu-ops-built: $(BUILD)/run-tests-emulated
# A suite a process, as many at a time as there are processors. A suite's output is shown when it fails.
emu-ops-test: emu-ops-built  ## the tests of operations on the emulated GPU, under the checker, in three orders of threads
	$(Q)tests/emu/run-ops $(BUILD)/run-tests-emulated "$(EMU_ORDERS)" $(EMU_OPS)
.PHONY: emu-mutants
emu-mutants:  ## plants faults in CUDA kernels and expects the tests on the emulated GPU to catch each; in build/emulate
	$(Q)$(MAKE) BUILD=$(BUILD)/emulate CUDA=emulate tests-built emu-mutants-run
emu-mutants-run: tests-built
	$(Q)BUILD=$(BUILD) TABLE=tests/mutants-cuda.tsv ALWAYS= CC='$(CC)' FLAGS='$(ALL_CFLAGS)' LINK='$(LINK)' OBJECTS='$(TEST_OBJ)' \
	    MUTANTS='$(MUTANTS)' CUDA_CC='$(CXX) $(EMU_CXXFLAGS) $(EMU_OPT) $(EMU_CHECKS) $(DEFS)' \
	    LIBS='$(if $(HAVE_CHECK),$(call pc,--libs,check)) $(LDLIBS)' sh tests/mutants.sh
