"""Blob storage: containers of blobs with metadata, opened by a signature or by a token."""

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate
from threading import RLock
from xml.sax.saxutils import escape

from .faults import Fault
from .wire import Answer, Request

Container = dict[str, "Blob"]


@dataclass
class Blob:
    """A file and what is said of it."""

    content: bytes
    metadata: dict[str, str] = field(default_factory=dict)
    kind: str = "application/octet-stream"

    @property
    def headers(self) -> dict[str, str]:
        """Its properties as the service sends them."""
        digest = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        said = {f"x-ms-meta-{name}": value for name, value in self.metadata.items()}
        return {
            **said,
            "ETag": f'"0x{digest[:15].upper()}"',
            "Last-Modified": formatdate(usegmt=True),
            "Content-Type": self.kind,
            "Accept-Ranges": "bytes",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-version": "2025-01-05",
        }


def refused(status: int, code: str) -> Answer:
    """An error as Azure Storage words it."""
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Answer(text.encode(), status, {"Content-Type": "application/xml", "x-ms-error-code": code})


class Storage:
    """Every storage account there is."""

    def __init__(self) -> None:
        self.containers: dict[tuple[str, str], Container] = {}
        self.blocks: dict[tuple[str, str, str], bytes] = {}
        self.secret = uuid.uuid4().hex
        self.account_key = base64.b64encode(self.secret.encode()).decode()
        self.lock = RLock()

    def signature(self) -> str:
        """A shared access signature that opens everything."""
        return f"sv=2025-01-05&sr=c&sp=rcwdl&se=2099-01-01T00%3A00%3A00Z&sig={self.secret}"

    def write(self, account: str, container: str, files: dict[str, bytes]) -> None:
        """Put files in place, as a job would."""
        blobs = self.containers.setdefault((account, container), {})
        blobs.update({name: Blob(content) for name, content in files.items()})

    def read(self, url: str) -> dict[str, bytes]:
        """The files at or below `https://<account>.blob.core.windows.net/<container>/<path>`, by path below it."""
        account, container, path = re.findall(r"https://([^.]+)\.[^/]+/([^/?]+)/?([^?]*)", url)[0]
        blobs = self.containers.get((account, container), {})
        inside = path.rstrip("/") + "/" if path else ""
        if path in blobs:
            return {path.rpartition("/")[2]: blobs[path].content}
        return {name[len(inside) :]: blob.content for name, blob in blobs.items() if name.startswith(inside)}

    def opened_by(self, request: Request) -> bool:
        """Does a request carry a signature?"""
        return request.query.get("sig") == self.secret

    def __call__(self, request: Request, _: Fault | None) -> Answer:
        """Answer a request to `<account>.blob.core.windows.net`."""
        account = request.host.partition(".")[0]
        container, name = (*request.path.lstrip("/").split("/", 1), "")[:2]
        with self.lock:
            blobs = self.containers.setdefault((account, container), {})
            operation = request.query.get("comp", "")
            if not name:
                return self.listing(container, blobs, request) if operation == "list" else Answer(status=201)
            if request.method == "PUT":
                return self.written((account, container, name), blobs, operation, request)
            blob = blobs.get(name)
            if blob is None:
                return refused(404, "BlobNotFound")
            if request.method == "DELETE":
                del blobs[name]
                return Answer(status=202)
            if request.method == "HEAD":
                return Answer(headers={**blob.headers, "Content-Length": str(len(blob.content))})
            return self.part(blob, request)

    def part(self, blob: Blob, request: Request) -> Answer:
        """The bytes that are asked for."""
        asked = re.fullmatch(
            r"bytes=(\d+)-(\d*)", request.headers.get("x-ms-range") or request.headers.get("range", "")
        )
        if not asked:
            return Answer(blob.content, headers=blob.headers)
        size, start = len(blob.content), int(asked[1])
        end = min(int(asked[2] or size), size - 1)
        if start >= size:
            return refused(416, "InvalidRange")
        headers = {**blob.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
        return Answer(blob.content[start : end + 1], 206, headers)

    def written(self, key: tuple[str, str, str], blobs: Container, operation: str, request: Request) -> Answer:
        """Store a blob, one of its blocks, or what is said of it."""
        name = key[2]
        said = {key[10:]: value for key, value in request.headers.items() if key.startswith("x-ms-meta-")}
        kind = request.headers.get("x-ms-blob-content-type", "application/octet-stream")
        if operation == "metadata":
            if name not in blobs:
                return refused(404, "BlobNotFound")
            blobs[name].metadata = said
            return Answer(headers=blobs[name].headers)
        if operation == "block":
            self.blocks[key[0], f"{key[1]}/{name}", request.query["blockid"]] = request.body
            return Answer(status=201)
        if operation == "appendblock":
            blobs[name].content += request.body
            return Answer(status=201, headers=blobs[name].headers)
        if request.headers.get("if-none-match") == "*" and name in blobs:
            return refused(409, "BlobAlreadyExists")
        content = request.body
        if operation == "blocklist":
            ids = re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)<", content.decode())
            content = b"".join(self.blocks[key[0], f"{key[1]}/{name}", one] for one in ids)
        blobs[name] = Blob(content, said, kind)
        return Answer(status=201, headers={"x-ms-request-server-encrypted": "true", **blobs[name].headers})

    def listing(self, container: str, blobs: Container, request: Request) -> Answer:
        """The blobs of a container whose names start with a prefix; folders folded by a delimiter."""
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        parts, folders = [], set()
        for name, blob in sorted(blobs.items()):
            rest = name[len(prefix) :]
            if not name.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            said = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
            properties = (
                f"<Last-Modified>{blob.headers['Last-Modified']}</Last-Modified><Etag>{blob.headers['ETag']}</Etag>"
                f"<Content-Length>{len(blob.content)}</Content-Length><BlobType>BlockBlob</BlobType>"
            )
            parts.append(
                f"<Blob><Name>{escape(name)}</Name><Properties>{properties}</Properties><Metadata>{said}</Metadata></Blob>"
            )
        parts += [f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in sorted(folders)]
        text = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}">'
            f"<Prefix>{escape(prefix)}</Prefix><Blobs>{''.join(parts)}</Blobs><NextMarker /></EnumerationResults>"
        )
        return Answer(text.encode(), headers={"Content-Type": "application/xml"})
