#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Modules that earlier versions built still load: tests/modules has one of every format version and target, signed by a
signer whose certificate lasts. `module_formats_test.py --make` adds those of the version that is built now.

Needs SKEP_COMMAND and SKEP_BINARY_DIR."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import module_test as common  # noqa: E402

folder = common.root / "tests" / "modules"
FORMAT = 1
TARGETS = {"linux-x86_64": "so", "linux-arm64": "so", "windows-x86_64": "dll"}


def make():
    """The modules of this version; the keys are thrown away but for the root's certificate, which is shared."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as keys:
        def run(*words):
            subprocess.run([*common.builder(), *map(str, words)], check=True)
        run("keygen", "--test-root", keys, "--days", 36000)
        root = folder / "root.pem"
        root.write_bytes(root.read_bytes() + pathlib.Path(keys, "root.pem").read_bytes() if root.exists()
                         else pathlib.Path(keys, "root.pem").read_bytes())
        for target, ending in TARGETS.items():
            to = folder / f"format-{FORMAT}-{target}.{ending}"
            run("compile", "--unverified", common.binary / "examples" / "balancer.bpf.o", "-o", to, "--target", target)
            run("sign", to, "--key", f"{keys}/signer.key", "--cert", f"{keys}/signer.pem")


class Formats(unittest.TestCase):
    def test_every_format_loads(self):
        found = 0
        for path in sorted(folder.glob(f"format-*-{common.host}{common.ending}")):
            with self.subTest(module=path.name):
                code, out, err = common.skep("run", path, "--pcap", common.capture, "--root", folder / "root.pem",
                                             "--unverified", "--map-init", common.examples / "balancer" / "maps.json")
                if "no library for signatures" in err:
                    code, out, err = common.skep("run", path, "--pcap", common.capture, "--allow-unsigned", "--unverified")
                self.assertEqual(code, 0, err)
                self.assertIn("592", out)
                found += 1
        self.assertGreaterEqual(found, FORMAT)

    def test_they_can_be_audited_anywhere(self):
        for target, ending in TARGETS.items():
            path = folder / f"format-{FORMAT}-{target}.{ending}"
            code, out, err = common.skep("audit", path, "--unverified", "--root", folder / "root.pem")
            if "no library for signatures" in err:
                self.skipTest("this build has no library for signatures")
            self.assertEqual(code, 0, err)
            self.assertIn(f"module for {target}", out)


if __name__ == "__main__":
    if sys.argv[1:] == ["--make"]:
        make()
    else:
        unittest.main()
