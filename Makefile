# lab      set up (once), and open the course in JupyterLab      make lab ARGS=--no-browser, ARGS=--present (for a room)
# update   bring the newest version, and say which labs have changed     make update ARGS="--beside lab_2_flows"
# test     set up (once), and run every test                     make test ARGS="-k schedule"
# check    run a lab as you left it, and list its exercises    make check NOTEBOOK=my_labs/lab_2_flows.ipynb
# grade    grade a folder of submissions, none of which is trusted     make grade SUBMISSIONS=downloads OUT=grades.csv
# nbgrader  write the labs as nbgrader wants them, into build/nbgrader
# notebooks  build lectures, labs and solutions from sources     make notebooks ONLY=04_diffusion_models
# mutants  break the mathematics, one line at a time: every check has to fail     make mutants ONLY=03_normalizing_flows
# reruns   run blank labs, and every cell of labs twice: nothing may change     make reruns ONLY=lab_2_flows
# map      write lectures/proofs.md, where each equation is shown, written, tested and asked for; and genlib/RECIPES.md
# lint     style and types
# runs     train again what lectures load from lectures/runs      make runs ONLY=ddpm_digits
# lock     choose new versions for the locks (needs uv)      make lock ARGS=--keep
# slides   write the lectures' decks into build/slides
# site     write the site into build/site, with solutions or without    make site SOLUTIONS=0
# handouts  write lectures and labs on paper into build/handouts
# bench    time to quality beside other libraries, and the cost of everything else     make bench ARGS="digits calls"
# gpu      what the papers' sizes cost on a GPU, eight minutes of it: tests, speed, memory; then the model in colour
# test-browser  run the tests that need a browser

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && echo $$p && break; done)
ifeq ($(PYTHON),)
$(error No Python found: install Python 3.11 to 3.14 (python.org), then run this again)
endif
COURSE = $(PYTHON) -E tools/course.py
VENV = .venv/bin/python

# What leads Python to modules outside .venv.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONSAFEPATH PYTHONWARNINGS
# A name may hold anything, also what a shell would run: it goes through one as a variable.
override NOTEBOOK := $(value NOTEBOOK)
override SUBMISSIONS := $(value SUBMISSIONS)
override OUT := $(if $(value OUT),$(value OUT),grades.csv)
override LAB := $(value LAB)
export NOTEBOOK SUBMISSIONS OUT LAB

# glibc gives large blocks back to the system at once, and a training asks for them again at every step:
# with higher thresholds it keeps them (benchmarks/allocator.py measures what that saves).
ifeq ($(shell uname -s),Linux)
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824
export MALLOC_TRIM_THRESHOLD_ ?= 4294967296
endif

.PHONY: lab update test setup check grade nbgrader notebooks runs mutants reruns map lint lock
.PHONY: slides site handouts test-browser gpu bench

lab update test setup slides site handouts test-browser:
	@$(COURSE) $@ $(ARGS)

check:
	@$(COURSE) check $(if $(NOTEBOOK),"$$NOTEBOOK",--help) $(ARGS)

grade:
	@$(COURSE) grade $(if $(SUBMISSIONS),"$$SUBMISSIONS" --out "$$OUT" --lab "$$LAB",--help) $(ARGS)

nbgrader:
	@$(COURSE) nbgrader $(ARGS)

notebooks: setup
	@$(VENV) tools/build_notebooks.py $(if $(ONLY),--only $(ONLY))

runs: setup
	@$(VENV) tools/runs.py $(if $(ONLY),--only $(ONLY))

bench: setup
	@$(VENV) benchmarks/bench.py $(ARGS)

gpu: setup
	@$(VENV) benchmarks/gpu.py $(ARGS)

mutants: setup
	@$(VENV) tools/mutants.py $(ONLY)

reruns: setup
	@$(VENV) tools/rerun.py $(ONLY)

map: setup
	@$(VENV) tools/proofs.py
	@$(VENV) tools/recipes_page.py

lint: setup
	@$(VENV) -m ruff check .
	@$(VENV) -m ruff format --check .
	@$(VENV) -m pyright --pythonpath $(VENV)

lock:
	@$(PYTHON) tools/lock.py $(ARGS)
