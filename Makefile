# Millrace: `make help` lists what there is to make.
#
# One variable chooses the build variant: SAN=asan, SAN=tsan, SAN=fuzz or SAN=simde build in
# trees of their own, so that objects never mix.

SHELL := /bin/bash
.DEFAULT_GOAL := all
SAN ?=
BUILD := build$(if $(SAN),/$(SAN))
PREFIX ?= /usr/local
# V=1 shows the commands themselves.
Q := $(if $(V),,@)
# How many compilers `make check`, `make demo` and `make bench` run at once.
export JOBS ?= $(shell nproc)
SUBMAKE = $(MAKE) --no-print-directory

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG_FORMAT ?= clang-format-14
FUZZ_CC ?= clang-14
AARCH64_CC ?= aarch64-linux-gnu-gcc
PKGS := rdkafka openblas libconfig libmicrohttpd jansson libprotobuf-c libcurl libcrypto \
  libdeflate snappy libzstd

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
  -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wswitch-enum \
  -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wduplicated-cond \
  -Wlogical-op -Werror
san_flags_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
san_flags_tsan := -fsanitize=thread -fno-omit-frame-pointer
san_flags_fuzz := -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow \
  -fno-sanitize=pointer-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_FLAGS := $(san_flags_$(SAN))
# libFuzzer is clang's; gcc's warnings are gcc's.  To clang NULL + 0 is an overflow.
ifeq ($(SAN),fuzz)
CC := $(FUZZ_CC)
WARNINGS := -Wall -Wextra -Werror -Wno-unknown-warning-option
endif
# For what the cross compiler is given here: headers of libraries, which are the same.
ifeq ($(SAN),aarch64)
CC := $(AARCH64_CC)
CPPFLAGS += -idirafter /usr/include
endif
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
OPTIMISE := $(if $(filter fuzz,$(SAN)),-O1,-O2)
OPTIMISE_KERNELS := $(if $(filter fuzz simde,$(SAN)),-O1,-O3)
export TSAN_OPTIONS := suppressions=$(CURDIR)/tests/tsan.supp

# -ffp-contract=off: a fused multiply-add is written where it is meant, so that the
# portable kernels and the SIMD ones can be compared.  A compiler knows the folder of its own
# machine, and another's must not see it.
CPPFLAGS += -D_POSIX_C_SOURCE=200809L -Iworker -I. -I$(BUILD)/gen -include base/banned.h \
  $(addprefix -isystem ,$(patsubst -I%,%,$(filter-out -I/usr/include/%-linux-gnu, \
  $(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null))))
CFLAGS += -std=c11 $(OPTIMISE) -g -ffp-contract=off -fno-math-errno -fPIC -pthread \
  $(WARNINGS) $(SAN_FLAGS)
LDFLAGS += -pthread -Wl,--as-needed $(SAN_FLAGS)
# The sanitizer does not know the C11 threads that librdkafka uses.
LDFLAGS += $(if $(filter tsan,$(SAN)),tests/tsan_threads.c)
# OpenBLAS is opened at run time, once its variables are set: see engine/kernels/blas.h.
LDLIBS += $(shell pkg-config --libs $(filter-out openblas,$(PKGS)) 2>/dev/null) -lm -ldl

# ---- layers: an archive each; a layer links with those it may include ------------
LAYERS := base config codec registry engine batch stream app
deps_base := base
deps_config := config base
deps_codec := codec base
deps_registry := registry codec base
deps_engine := engine base
deps_batch := batch codec engine base
deps_stream := stream base
deps_app := app batch stream registry codec engine config base
deps_tools := tools $(deps_app)

sources = $(sort $(shell find worker/$(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
layer_libs = $(patsubst %,$(BUILD)/lib/%.a,$(1))

GEN := $(BUILD)/gen/onnx.pb-c.h $(BUILD)/gen/onnx_data.pb-c.h
TOOL_SRCS := $(sort $(wildcard tools/*.c))

.PHONY: all
all: $(BUILD)/millrace ## build the worker and its tools (the default)

define layer_rule
$(BUILD)/lib/$(1).a: $(call objects,$(call sources,$(1))) $(if $(filter engine,$(1)),$(GEN:.h=.o))
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach layer,$(LAYERS),$(eval $(call layer_rule,$(layer))))

$(BUILD)/lib/tools.a: $(call objects,$(TOOL_SRCS))
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/millrace: $(BUILD)/worker/main.o $(call layer_libs,$(deps_tools))
	$(if $(Q),@echo "  LD  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# sched_getaffinity, which knows what a container allows, is not POSIX.
$(BUILD)/worker/base/cpu.o: CPPFLAGS += -D_GNU_SOURCE \
  $(if $(filter simde,$(SAN)),-DCPU_AVX512_EMULATED)
# realpath and nice are in POSIX's extensions.
$(BUILD)/worker/app/orders.o $(BUILD)/worker/app/shadow.o: CPPFLAGS += -D_XOPEN_SOURCE=700
# OpenSSL calls an argument `rand`, which is banned: its header comes before that.
$(BUILD)/worker/app/digest.o: CPPFLAGS := -include openssl/evp.h $(CPPFLAGS)
# Nor is madvise.
$(BUILD)/worker/engine/pages.o: CPPFLAGS += -D_DEFAULT_SOURCE
# openat2, which has no function of its own in the C library.
$(BUILD)/worker/engine/external.o: CPPFLAGS += -D_GNU_SOURCE
ifeq ($(MACHINE),x86_64)
# Kernels for an instruction set are compiled for it and chosen at run time.  SAN=simde
# has those for AVX-512 on processors without it, slowly, to be tested.
$(BUILD)/worker/engine/kernels/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
AVX512_FLAGS := $(if $(filter simde,$(SAN)),-mavx2 -include tests/simde/avx512.h -Wno-psabi,\
  -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
$(BUILD)/worker/engine/kernels/%_avx512.o: CFLAGS += $(AVX512_FLAGS) -mfma -mf16c
$(BUILD)/worker/engine/kernels/%_vbmi.o: CFLAGS += -mavx512f -mavx512bw -mavx512vbmi
$(BUILD)/worker/engine/kernels/%_vnni.o: CFLAGS += $(AVX512_FLAGS) -mfma -mf16c \
  $(if $(filter simde,$(SAN)),,-mavx512vnni)
$(BUILD)/worker/engine/kernels/%_amx.o: CFLAGS += $(AVX512_FLAGS) -mfma -mf16c \
  $(if $(filter simde,$(SAN)),,-mavx512vnni -mamx-tile -mamx-int8)
endif
# clang takes minutes to optimise these with the sanitizers in them.
$(BUILD)/worker/engine/kernels/%_avx512.o $(BUILD)/worker/engine/kernels/%_vnni.o \
  $(BUILD)/worker/engine/kernels/%_amx.o: \
  OPTIMISE_KERNELS := $(if $(filter fuzz,$(SAN)),-O0,$(OPTIMISE_KERNELS))
$(call objects,$(call sources,engine/kernels)): CFLAGS += $(OPTIMISE_KERNELS)
# Loops over other types than float32 stand in the operators themselves.
VECTORISE := $(if $(filter fuzz,$(SAN)),,-ftree-vectorize -fvect-cost-model=dynamic)
$(call objects,$(call sources,engine/ops)): CFLAGS += $(VECTORISE)

# Make would take the objects of programs for intermediate files, and delete them.
.PRECIOUS: $(BUILD)/%.o
$(BUILD)/%.o: %.c $(GEN)
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC  $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- generated: the ONNX file format, by protobuf-c --------------------------------
$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: worker/engine/%.proto
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --proto_path=worker/engine --c_out=$(BUILD)/gen $(<F)

.SECONDARY: $(GEN) $(GEN:.h=.c)
$(BUILD)/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c $(GEN)
	$(if $(Q),@echo "  CC  $<")
	$(Q)$(CC) -std=c11 -O2 -g -fPIC $(SAN_FLAGS) -I$(BUILD)/gen -c -o $@ $<

# ---- generated: the Avro schemas as arrays, for the program to carry ---------------
SCHEMAS := $(sort $(wildcard schemas/*.avsc))
$(BUILD)/gen/schemas.h: $(SCHEMAS)
	@mkdir -p $(@D)
	$(Q)for f in $^; do \
	  echo "static const unsigned char $$(basename $$f .avsc)_avsc[] = {"; \
	  od -An -v -tx1 $$f | sed 's/ \(..\)/0x\1,/g'; echo "};"; done > $@

$(BUILD)/worker/codec/schema.o: $(BUILD)/gen/schemas.h

# ---- tests: tests/unit/LAYER/test_X.c is a program linked with what LAYER may see --
UNIT_SRCS := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BINS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRCS))

define unit_rule
$(BUILD)/tests/unit/$(1)/test_%: $(BUILD)/tests/unit/$(1)/test_%.o $(call layer_libs,$(deps_$(1)))
	$$(if $$(Q),@echo "  LD  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS) -lcheck -lsubunit -lavro -lrt -lm
endef
$(foreach layer,$(LAYERS) tools,$(eval $(call unit_rule,$(layer))))
# Check's own macros are older than some of our warnings.
$(BUILD)/tests/%.o: CFLAGS += -Wno-pedantic -Wno-sign-conversion -Wno-conversion \
  -Wno-double-promotion

# Side by side, since those of stream mostly wait for a broker.
define run_units
@printf '%s\n' $(1) | xargs -P $$((2 * JOBS)) -n 1 tests/unit/run.sh
endef

.PHONY: unit programs
programs: all $(UNIT_BINS)
unit: $(UNIT_BINS) ## unit tests of every layer
	$(call run_units,$^)

.SECONDEXPANSION:
# The function keeps the pattern rule from taking filter's % for its own.
unit_bins = $(filter $(BUILD)/tests/unit/$(1)/%,$(UNIT_BINS))
unit-%: $$(call unit_bins,$$*) ## unit tests of one layer
	$(call run_units,$^)

# ---- the codec's fuzzer and benchmark -----------------------------------------------
FUZZ_SECONDS ?= 180
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_CODEC := $(FUZZ_DIR)/fuzz_job $(FUZZ_DIR)/fuzz_plan
$(FUZZ_CODEC): $(FUZZ_DIR)/%: tests/fuzz/%.c $(call sources,codec) $(call sources,base) \
  $(wildcard worker/codec/*.h worker/base/*.h) $(BUILD)/gen/schemas.h
	@mkdir -p $(@D)
	@command -v $(FUZZ_CC) >/dev/null || tools/packages.sh fuzz
	$(Q)$(FUZZ_CC) $(CPPFLAGS) -D_GNU_SOURCE -std=c11 -O1 -g -fno-omit-frame-pointer \
	  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	  -o $@ $(filter %.c,$^) -ljansson -lm -pthread

# How long a fuzzer runs.  A check counts runs from a fixed seed: it must not find today
# what it did not find yesterday.
FUZZ_BUDGET = -max_total_time=$(FUZZ_SECONDS)

.PHONY: fuzz-codec bench-codec
fuzz-codec: $(FUZZ_CODEC) ## fuzz jobs, then schemas and records, FUZZ_SECONDS each
	@mkdir -p $(FUZZ_DIR)/corpus-job
	@grep -o '"message": "[0-9a-f]*"' tests/data/codec/goldens.json | cut -d'"' -f4 | \
	  while read -r hex; do n=$$((n + 1)); \
	  printf '%b' "$$(sed 's/../\\x&/g' <<<"$$hex")" >$(FUZZ_DIR)/corpus-job/golden-$$n; done
	$(FUZZ_DIR)/fuzz_job $(FUZZ_BUDGET) -max_len=4096 -timeout=5 \
	  -artifact_prefix=$(FUZZ_DIR)/ $(FUZZ_DIR)/corpus-job
	@mkdir -p $(FUZZ_DIR)/corpus-plan
	@jq -r '.[] | [.writer, .reader // "", .message] | join("\u0001")' \
	  tests/data/codec/plans.json | while IFS=$$'\001' read -r writer reader hex; do \
	  n=$$((n + 1)); { printf '%s\0%s\0' "$$writer" "$$reader"; \
	  printf '%b' "$$(sed 's/../\\x&/g' <<<"$$hex")"; } >$(FUZZ_DIR)/corpus-plan/plan-$$n; done
	$(FUZZ_DIR)/fuzz_plan $(FUZZ_BUDGET) -max_len=8192 -timeout=5 \
	  -artifact_prefix=$(FUZZ_DIR)/ $(FUZZ_DIR)/corpus-plan

# The engine's is built as a variant, since its kernels have flags of their own; so is that
# of files of rows, which shares its layers.
FUZZ_MODEL := build/fuzz/fuzz_model
FUZZ_ROWS := build/fuzz/fuzz_rows
# Chunks are large: what is kept of them when they are freed costs three quarters of the time.
fuzz_rows = ASAN_OPTIONS=quarantine_size_mb=8 $(FUZZ_ROWS) $(FUZZ_ROWS_FLAGS)
FUZZ_MODEL_FLAGS = -max_len=65536 -timeout=20 -rss_limit_mb=2048 -detect_leaks=1 \
  -artifact_prefix=build/fuzz/
FUZZ_ROWS_FLAGS = -max_len=4096 -timeout=20 -rss_limit_mb=2048 -detect_leaks=1 \
  -artifact_prefix=build/fuzz/
ifeq ($(SAN),fuzz)
$(BUILD)/fuzz_model: $(patsubst %,$(BUILD)/tests/fuzz/%.o,fuzz_model folder mutate_proto) \
  $(call layer_libs,$(deps_engine))
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)
# memfd_create is not POSIX.
$(BUILD)/tests/fuzz/fuzz_rows.o: CPPFLAGS += -D_GNU_SOURCE
$(BUILD)/fuzz_rows: $(BUILD)/tests/fuzz/fuzz_rows.o \
  $(call objects,$(wildcard tools/rows*.c tools/npy*.c) tools/file.c tools/spool.c) \
  $(call layer_libs,$(deps_codec))
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LDLIBS)
endif

.PHONY: fuzz-programs fuzz-model fuzz-rows fuzz-short
fuzz-programs:
	@command -v $(FUZZ_CC) >/dev/null || tools/packages.sh fuzz
	+@$(SUBMAKE) SAN=fuzz $(FUZZ_MODEL) $(FUZZ_ROWS)
fuzz-model: fuzz-programs ## fuzz ONNX files, loading and running, for FUZZ_SECONDS
	@mkdir -p build/fuzz/corpus-model
	$(FUZZ_MODEL) $(FUZZ_MODEL_FLAGS) $(FUZZ_BUDGET) \
	  build/fuzz/corpus-model tests/fuzz/corpus-model
fuzz-rows: fuzz-programs ## fuzz files of rows for FUZZ_SECONDS
	@mkdir -p build/fuzz/corpus-rows
	$(fuzz_rows) $(FUZZ_BUDGET) build/fuzz/corpus-rows tests/fuzz/corpus-rows
fuzz-short: fuzz-programs ## the fuzzers for a fixed number of runs, about 30 seconds each
	@$(SUBMAKE) FUZZ_BUDGET='-seed=1 -runs=300000' fuzz-codec
	@rm -rf build/fuzz/corpus-short && mkdir -p build/fuzz/corpus-short
	$(FUZZ_MODEL) $(FUZZ_MODEL_FLAGS) -seed=1 -runs=60000 \
	  build/fuzz/corpus-short tests/fuzz/corpus-model
	@rm -rf build/fuzz/corpus-short && mkdir -p build/fuzz/corpus-short
	$(fuzz_rows) -seed=1 -runs=30000 \
	  build/fuzz/corpus-short tests/fuzz/corpus-rows

$(BUILD)/bench_codec: $(BUILD)/tests/bench/bench_codec.o $(call layer_libs,$(deps_codec))
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lavro

$(BUILD)/bench_records: $(BUILD)/tests/bench/bench_records.o $(call layer_libs,$(deps_codec))
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lavro

bench-codec: $(BUILD)/bench_codec $(BUILD)/bench_records ## jobs, results and records, beside Avro-C and fastavro
	@$(BUILD)/bench_codec
	@mkdir -p $(BUILD)/bench-records && $(BUILD)/bench_records $(BUILD)/bench-records
	@$$(tests/kafka/venv.sh)/bin/python tests/bench/bench_records.py $(BUILD)/bench-records

# ---- checks ------------------------------------------------------------------------
# `check` is everything a change must pass; `check-fast` leaves out Kafka and TSan.
.PHONY: layers format lint flow models models-zoo ops ops-peer tables packages packages-test
packages: ## install the Debian packages that the build needs and that are missing
	@tools/packages.sh build
packages-test: ## the same, and those that `make check` needs
	@tools/packages.sh test
layers: ## check who includes whom
	@tools/check-layers
format: ## check the layout of the C files (clang-format 14)
	@tools/check-format
lint: ## static analysis
	@tools/lint.sh
models: $(BUILD)/millrace ## the demo models against their golden outputs
	@$(BUILD)/millrace model test conf/models/digits conf/models/text conf/models/attention \
	  conf/models/fraud/lightgbm conf/models/fraud/sklearn
ops: $(BUILD)/millrace ## ONNX's own operator tests
	@MILLRACE=$(BUILD)/millrace tests/ops/run.sh
ops-peer: ops ## the same cases in ONNX Runtime, for comparison
	@$$(tests/kafka/venv.sh)/bin/python tests/ops/peer.py build/ops/cases/test_*
models-zoo: $(BUILD)/millrace ## networks as they are published, beside ONNX Runtime's answers
	@MILLRACE=$(BUILD)/millrace tests/models/run.sh
tables: $(BUILD)/millrace ## models of scikit-learn, LightGBM, XGBoost and CatBoost
	@MILLRACE=$(BUILD)/millrace tests/tables/run.sh
flow: $(BUILD)/millrace ## whole workers on the embedded broker
	@MILLRACE=$(BUILD)/millrace tests/run.sh flow

# The kernels' tests at every level; with AVX-512 in the processor, `unit` has done it.
.PHONY: avx512
KERNEL_TESTS := $(patsubst %.c,build/simde/%,$(wildcard tests/unit/engine/test_kernel_*.c))
avx512: ## the AVX-512 kernels' tests on processors without it, by SIMDe
	@if grep -qw avx512vl /proc/cpuinfo; then \
	  echo '  skip  avx512: this processor has it, and the unit tests use it'; \
	else \
	  test -e /usr/include/simde/x86/avx512.h || tools/packages.sh simde; \
	  $(SUBMAKE) SAN=simde $(KERNEL_TESTS) && \
	  OPENBLAS_CORETYPE=Haswell xargs -P $(JOBS) -n 1 tests/unit/run.sh <<<"$(KERNEL_TESTS)"; \
	fi

.PHONY: aarch64
aarch64: ## check that the engine compiles for aarch64, with its portable kernels
	@command -v $(firstword $(AARCH64_CC)) >/dev/null || tools/packages.sh aarch64
	+@$(SUBMAKE) SAN=aarch64 build/aarch64/lib/engine.a build/aarch64/lib/base.a

$(BUILD)/score_records: $(BUILD)/tests/registry/score_records.o $(call layer_libs,$(deps_registry))
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: check check-fast kafka registry rows
rows: $(BUILD)/millrace ## files of rows and their scoring, against fastavro and pandas
	@MILLRACE=$(BUILD)/millrace tests/rows/run.sh

registry: $(BUILD)/millrace $(BUILD)/score_records ## the schema registry, against Confluent's own client
	@MILLRACE=$(BUILD)/millrace tests/registry/run.sh

.PHONY: registry-apicurio
registry-apicurio: $(BUILD)/millrace $(BUILD)/score_records ## routes of records, with a real registry
	@APICURIO=$$(tests/registry/apicurio.sh) && export APICURIO MILLRACE=$(BUILD)/millrace && \
	  tests/registry/run.sh serializer && tests/run.sh flow records_of_an_existing && \
	  tests/run.sh flow rows_go_through

check-fast: packages-test ## units, ASan and UBSan, layers, format, lint, flow
	@$(SUBMAKE) layers format
	@$(SUBMAKE) -j$(JOBS) programs
	@$(SUBMAKE) unit models flow
	@$(SUBMAKE) -j$(JOBS) SAN=asan programs
	@$(SUBMAKE) SAN=asan unit models flow
	@$(SUBMAKE) lint

check: check-fast ## all that a change must pass: check-fast, TSan, real Kafka
	@$(SUBMAKE) ops models-zoo tables
	@$(SUBMAKE) -j$(JOBS) SAN=tsan programs
	@$(SUBMAKE) SAN=tsan unit flow
	@$(SUBMAKE) -j$(JOBS) fuzz-short
	@$(SUBMAKE) -j$(JOBS) avx512
	@$(SUBMAKE) -j$(JOBS) aarch64
	@$(SUBMAKE) rows registry kafka faults-short

kafka: $(BUILD)/millrace ## tests on a real Apache Kafka, which is fetched
	@MILLRACE=$(BUILD)/millrace tests/kafka/run.sh

HOURS ?= 1
# The most telling ones, briefly, for `check`; a busy machine is given time.
FAULTS_SHORT := worker_killed_in_commit,worker_lost,zombie,\
coordinator_moves,half_open,killer_record,oversized_result,slow_inference,clock_jump,registry_down
.PHONY: faults faults-short soak
$(BUILD)/tests/faults/clock_jump.so: tests/faults/clock_jump.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(OPTIMISE) $(WARNINGS) -Wno-pedantic -fPIC -shared -o $@ $< -ldl
faults faults-short soak: $(BUILD)/tests/faults/clock_jump.so
faults: $(BUILD)/millrace ## workers and brokers are hurt, jobs are counted; FAULTS="--help"
	@tests/faults/run.sh $(FAULTS)
faults-short: $(BUILD)/millrace ## some of them, in a few minutes
	@tests/faults/run.sh --seconds 6 --rate 400 --patience 240 --markdown \
	  --faults $(subst $() ,,$(FAULTS_SHORT))
soak: $(BUILD)/millrace ## the same at random for HOURS
	@tests/faults/run.sh --hours $(HOURS) --markdown

# ---- for users ------------------------------------------------------------------------
.PHONY: demo demo-fraud bench bench-models bench-score models-graphs train man install
demo: packages ## the main job in a minute; KAFKA=1 on a real Apache Kafka
	@$(SUBMAKE) -j$(JOBS) all
	@KAFKA=$(KAFKA) tools/demo.sh

demo-fraud: packages ## records of an existing Avro topic, scored by LightGBM and scikit-learn
	@tools/packages.sh kafka
	@$(SUBMAKE) -j$(JOBS) all
	@tools/demo_fraud.sh

BENCH_TOOLS := $(BUILD)/loadgen $(BUILD)/transport
bench_objects = $(patsubst %,$(BUILD)/tests/bench/%.o,$(1))
$(BUILD)/loadgen: $(call bench_objects,loadgen load_send load_measure load_admin common)
$(BUILD)/transport: $(call bench_objects,transport common)
$(BENCH_TOOLS):
	$(if $(Q),@echo "  LD  $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

bench: packages-test ## measure against the Python peer and the transport limit; BENCH_FLAGS=--help
	@$(SUBMAKE) -j$(JOBS) all $(BENCH_TOOLS)
	@tests/bench/bench.sh $(BENCH_FLAGS)

bench-models: packages-test ## Millrace and ONNX Runtime on every model; BENCH_FLAGS=--help
	@$(SUBMAKE) -j$(JOBS) all
	@MILLRACE=$(BUILD)/millrace tests/bench/models.sh $(BENCH_FLAGS)

bench-score: packages-test ## score a million rows beside pandas and ONNX Runtime
	@$(SUBMAKE) -j$(JOBS) all
	@MILLRACE=$(BUILD)/millrace $$(tests/kafka/venv.sh rows)/bin/python tests/bench/score.py $(BENCH_FLAGS)

models-graphs: ## export the graphs of tests/models again (never needed to build)
	@tools/models/export.sh tests/models/graphs

train: ## train the demo models again (never needed to build)
	@tools/train/train.sh

man: $(BUILD)/millrace ## the manual pages and the shells' completions
	@rm -rf $(BUILD)/man $(BUILD)/completion && mkdir -p $(BUILD)/man $(BUILD)/completion
	@for page in $$($(BUILD)/millrace man --list); do \
	  $(BUILD)/millrace man $${page%.*} >$(BUILD)/man/$$page || exit 1; done
	@for shell in bash zsh fish; do \
	  $(BUILD)/millrace completion $$shell >$(BUILD)/completion/$$shell || exit 1; done

install: man ## install under PREFIX (default /usr/local), DESTDIR respected
	install -D -m 755 $(BUILD)/millrace $(DESTDIR)$(PREFIX)/bin/millrace
	install -d $(DESTDIR)$(PREFIX)/share/millrace/schemas $(DESTDIR)$(PREFIX)/share/millrace/conf
	install -m 644 schemas/*.avsc $(DESTDIR)$(PREFIX)/share/millrace/schemas
	install -m 644 conf/*.conf $(DESTDIR)$(PREFIX)/share/millrace/conf
	cp -r conf/models $(DESTDIR)$(PREFIX)/share/millrace/conf
	@for page in $(BUILD)/man/*; do \
	  install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} $$page; done
	install -D -m 644 $(BUILD)/completion/bash \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/millrace
	install -D -m 644 $(BUILD)/completion/zsh \
	  $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_millrace
	install -D -m 644 $(BUILD)/completion/fish \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/millrace.fish

.PHONY: clean
clean: ## remove what was built
	rm -rf build

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9%-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | \
	  awk -F'\t' '{printf "  make %-18s %s\n", $$1, $$2}'
	@echo 'Variables: SAN=asan or SAN=tsan (a build of its own), V=1 (show the commands).'

-include $(shell find $(BUILD)/worker $(BUILD)/tools $(BUILD)/tests -type f -name '*.d' 2>/dev/null)
