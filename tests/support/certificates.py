"""An authority and certificates signed by it, made by openssl for one test run."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a directory of its own."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Authority":
        """Make the authority's key and certificate."""
        directory.mkdir(parents=True, exist_ok=True)
        authority = cls(directory)
        authority._openssl(f"req -x509 {NEW_KEY} -days 2 -keyout ca.key -out ca.pem -subj /CN=authority")
        return authority

    @property
    def ca_file(self) -> Path:
        """The certificate to trust."""
        return self.directory / "ca.pem"

    def certificate_file(self, name: str) -> Path:
        """The certificate of `name`."""
        return self.directory / f"{name}.pem"

    def key_file(self, name: str) -> Path:
        """The key of `name`."""
        return self.directory / f"{name}.key"

    def sign(self, name: str) -> None:
        """Make a key for `name` and a certificate that is valid for that host."""
        (self.directory / "names").write_text(f"subjectAltName=DNS:{name}\n")
        self._openssl(f"req {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        self._openssl(
            f"x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem"
            " -extfile names"
        )
        for path in self.directory.iterdir():
            path.chmod(0o644)

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.directory, capture_output=True, check=True)
