"""CUDA libraries that do nothing, so that ONNX Runtime's CUDA provider loads without a GPU.

    python tests/placement/stub_cuda.py PROVIDER_LIBRARY FOLDER

Every function that the provider wants is there and succeeds; memory is that of the host, and
kernels are not run. So sessions can be opened, nodes are placed, CUDA graphs are accepted or
refused, and runs go all the way, but compute nothing. Needs gcc and nm.
"""

import re
import subprocess
import sys
from pathlib import Path

SONAMES = {
    "cublasLt": "libcublasLt.so.13",
    "cublas": "libcublas.so.13",
    "curand": "libcurand.so.10",
    "cudart": "libcudart.so.13",
    "cuda": "libcuda.so.1",
    # Not linked but opened when a kernel asks for it, as those of GRU and LSTM do.
    "cudnn": "libcudnn.so.9",
}

# What must do more than succeed. A handle is any address but zero.
BODIES = {
    "cudaMalloc": "(void **to, size_t size) { *to = calloc(1, size + 256); return 0; }",
    "cudaMallocHost": "(void **to, size_t size) { *to = calloc(1, size + 256); return 0; }",
    "cudaHostAlloc": "(void **to, size_t size, int f) { *to = calloc(1, size + 256); return 0; }",
    "cudaMallocFromPoolAsync": (
        "(void **to, size_t size, void *p, void *s) { *to = calloc(1, size + 256); return 0; }"
    ),
    "cudaFree": "(void *address) { free(address); return 0; }",
    "cudaFreeAsync": "(void *address, void *stream) { free(address); return 0; }",
    "cudaFreeHost": "(void *address) { free(address); return 0; }",
    "cudaMemcpy": "(void *to, void *from, size_t n, int k) { memcpy(to, from, n); return 0; }",
    "cudaMemcpyAsync": (
        "(void *to, void *from, size_t n, int k, void *s) { memcpy(to, from, n); return 0; }"
    ),
    "cudaMemset": "(void *to, int value, size_t n) { memset(to, value, n); return 0; }",
    "cudaMemsetAsync": (
        "(void *to, int value, size_t n, void *s) { memset(to, value, n); return 0; }"
    ),
    "cudaMemGetInfo": "(size_t *free, size_t *all) { *free = *all = 1ull << 36; return 0; }",
    "cudaGetDevice": "(int *device) { *device = 0; return 0; }",
    "cudaGetDeviceCount": "(int *count) { *count = 1; return 0; }",
    "cudaRuntimeGetVersion": "(int *version) { *version = 13000; return 0; }",
    "cudaDriverGetVersion": "(int *version) { *version = 13000; return 0; }",
    "cudaGetDeviceProperties": (
        '(char *properties, int device) { memset(properties, 0, 720); strcpy(properties, "stub");'
        " *(size_t *)(properties + 288) = 1ull << 36; *(size_t *)(properties + 296) = 49152;"
        " *(int *)(properties + 304) = 65536; *(int *)(properties + 308) = 32;"
        " *(int *)(properties + 320) = 1024; for (int i = 0; i < 3; i++) {"
        " ((int *)(properties + 324))[i] = 1024; ((int *)(properties + 336))[i] = 65535; }"
        " *(int *)(properties + 360) = 9; *(int *)(properties + 364) = 0;"
        " *(int *)(properties + 384) = 132; return 0; }"
    ),
    "cudaDeviceGetAttribute": (
        "(int *value, int which, int device) { *value = which == 75 ? 9 : which == 76 ? 0 :"
        " which == 16 ? 132 : which == 10 ? 32 : which == 1 ? 1024 : 65536; return 0; }"
    ),
    "cudaStreamCreate": "(void **stream) { *stream = calloc(1, 64); return 0; }",
    "cudaStreamCreateWithFlags": "(void **stream, int f) { *stream = calloc(1, 64); return 0; }",
    "cudaStreamIsCapturing": "(void *stream, int *status) { *status = 0; return 0; }",
    "cudaStreamEndCapture": (
        '(void *stream, void **graph) { *graph = calloc(1, 64); count("capture"); return 0; }'
    ),
    "cudaGraphInstantiate": "(void **graph, void *from) { *graph = calloc(1, 64); return 0; }",
    "cudaGraphLaunch": '(void *graph, void *stream) { count("replay"); return 0; }',
    "cudaEventCreate": "(void **event) { *event = calloc(1, 64); return 0; }",
    "cudaEventCreateWithFlags": "(void **event, int f) { *event = calloc(1, 64); return 0; }",
    "cudaEventElapsedTime": "(float *time, void *a, void *b) { *time = 1; return 0; }",
    "cudaFuncGetAttributes": "(char *attributes, void *f) { memset(attributes, 0, 64); return 0; }",
    "cudaPointerGetAttributes": (
        "(int *attributes, void *address) { memset(attributes, 0, 32); *attributes = 2; return 0; }"
    ),
    "cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags": (
        "(int *blocks, void *f, int size, size_t memory, int flags) { *blocks = 2; return 0; }"
    ),
    "cudaGetErrorString": '() { return (long)"stub"; }',
    "cudaGetErrorName": '() { return (long)"stub"; }',
    "cudaMemPoolCreate": "(void **pool, void *properties) { *pool = calloc(1, 64); return 0; }",
    "__cudaRegisterFatBinary": "() { return (long)calloc(1, 64); }",
    "cublasCreate_v2": "(void **handle) { *handle = calloc(1, 64); return 0; }",
    "cublasLtCreate": "(void **handle) { *handle = calloc(1, 64); return 0; }",
    "cublasGetMathMode": "(void *handle, int *mode) { *mode = 0; return 0; }",
    "cublasGetStatusName": '() { return (long)"stub"; }',
    "cublasGetStatusString": '() { return (long)"stub"; }',
    "cublasLtMatmulAlgoGetHeuristic": (
        "(void *h, void *d, void *a, void *b, void *c, void *e, void *p, int n, char *found,"
        " int *count) { memset(found, 0, 96); *count = 1; return 0; }"
    ),
    "cudnnCreate": "(void **handle) { *handle = calloc(1, 64); return 0; }",
    "cudnnGetVersion": "() { return 91000; }",
    "cudnnGetErrorString": '() { return (long)"stub"; }',
    "cudnnDropoutGetStatesSize": "(void *handle, size_t *size) { *size = 64; return 0; }",
    "cudnnGetRNNTempSpaceSizes": (
        "(void *h, void *r, int mode, void *x, size_t *work, size_t *reserve)"
        " { *work = *reserve = 64; return 0; }"
    ),
    "cudnnGetRNNWeightParams": (
        "(void *h, void *r, int layer, size_t n, void *space, int id, void *m, void **ma, void *b,"
        " void **ba) { *ma = *ba = space; return 0; }"
    ),
    "cudnnGetTensorNdDescriptor": (
        "(void *d, int n, int *type, int *count, int *dims, int *strides) { *type = 0; *count = n;"
        " for (int i = 0; i < n; i++) dims[i] = strides[i] = 1; return 0; }"
    ),
    "cuInit": "(int flags) { return 0; }",
    "cuDeviceGetCount": "(int *count) { *count = 1; return 0; }",
}

PREAMBLE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void count(const char *what) {
    const char *path = getenv("STUB_CUDA_LOG");
    if (path) { FILE *log = fopen(path, "a"); fprintf(log, "%s\\n", what); fclose(log); }
}
"""


def build(provider: Path, folder: Path) -> None:
    """Compile a library for each of those that the provider is linked with."""
    names = wanted(provider) | named(provider, "cudnn") | {"cuInit", "cuDeviceGetCount"}
    for library, soname in SONAMES.items():
        mine = sorted(name for name in names if library_of(name) == library)
        functions = "".join(f"long {name}{body_of(name)}\n" for name in mine)
        source, script = folder / f"{library}.c", folder / f"{library}.map"
        source.write_text(PREAMBLE + functions)
        script.write_text(f"{soname} {{ global: *; }};\n")
        # The driver's functions have no version, and cuDNN's are looked up without.
        versions = [] if library in {"cuda", "cudnn"} else [f"-Wl,--version-script={script}"]
        command = ["gcc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{soname}", *versions]
        subprocess.run([*command, "-o", str(folder / soname), str(source)], check=True)


def body_of(name: str) -> str:
    if name.startswith("cudnnCreate") and name not in BODIES:
        name = "cudnnCreate"
    return BODIES.get(name, "() { return 0; }")


def wanted(provider: Path) -> set[str]:
    """Return the functions of CUDA's libraries that the provider does not define itself."""
    command = ["nm", "-D", "--undefined-only", str(provider)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    return {name for name in names if re.match(r"(__cuda|cuda[A-Z]|cublas|curand|cu[A-Z])", name)}


def named(provider: Path, prefix: str) -> set[str]:
    """Return the functions of a library that the provider looks up by name."""
    pattern = rf"\0({prefix}[A-Z]\w+)(?=\0)".encode()
    return {name.decode() for name in re.findall(pattern, provider.read_bytes())}


def library_of(name: str) -> str:
    for prefix in ("cublasLt", "cublas", "curand", "cudnn"):
        if name.startswith(prefix):
            return prefix
    return "cudart" if name.lstrip("_").startswith("cuda") else "cuda"


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
