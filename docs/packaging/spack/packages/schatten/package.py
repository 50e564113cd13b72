# SPDX-License-Identifier: BSD-3-Clause
from spack.package import *


class Schatten(CMakePackage):
    """Spectral-power optimizers over Kokkos Views."""

    git = "REPOSITORY"

    license("BSD-3-Clause")

    version("main", branch="main")

    variant("blas", default=False, description="BLAS and LAPACK on the host")

    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("kokkos@3.4.1: +serial")
    depends_on("eigen@3.4:5")
    depends_on("blas", when="+blas")
    depends_on("lapack", when="+blas")
    conflicts("^openblas+ilp64", when="+blas", msg="BLAS and LAPACK must have integers of 32 bits")
    conflicts("^openblas threads=pthreads", when="+blas", msg="OpenBLAS must be built with OpenMP")

    def cmake_args(self):
        return [
            self.define("SCHATTEN_BUILD_TESTS", False),
            self.define("SCHATTEN_BUILD_BENCHMARKS", False),
            self.define("SCHATTEN_BUILD_EXAMPLES", False),
            self.define_from_variant("SCHATTEN_ENABLE_BLAS", "blas"),
        ]
