# The commands of this repository; each is a script or cmake, which can be called directly as well.
.DEFAULT_GOAL := help
.PHONY: help demo test bench install package docs clean

PREFIX ?= /usr/local
BUILD := .cache/install-build

help:
	@echo 'make demo      build everything, generate TPC-H data once, read it through the library, check the answer'
	@echo 'make test      run every check and print a summary (tests/run GATE... runs some)'
	@echo 'make bench     measure reading next to curl, codecs and official clients on the same bytes'
	@echo 'make install   install library, header, CMake package and maxstorage.pc (PREFIX, DESTDIR)'
	@echo 'make package   make a tarball and Debian packages in .cache/packages'
	@echo 'make docs      make the reference of C, C++, Python, Java and Go in .cache/reference'
	@echo 'make clean     remove what was built and generated'

demo:
	@tools/demo

test:
	@tools/setup test
	@tests/run

bench:
	@benches/run

install:
	@tools/setup
	cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX='$(PREFIX)'
	cmake --build $(BUILD)
	DESTDIR='$(DESTDIR)' cmake --install $(BUILD)

package:
	@tools/setup
	@tools/package

docs:
	@tools/setup test
	@tools/reference

clean:
	cargo clean
	rm -rf .cache
