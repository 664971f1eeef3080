"""OpenStack Swift with its S3 interface: an object store on loopback, all of it in one process, in a folder.

Account `test`, user `tester`, key from SWIFT_KEY. `SWIFT_PORT`: where it listens, so that it can come back there; else anywhere.
With SWIFT_CERTIFICATE and SWIFT_CERTIFICATE_KEY, files, it speaks TLS.
It ends with its standard input. Says `listening PORT -`.
"""

import os
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402
from paste.deploy import loadapp  # noqa: E402
from swift.account.server import AccountController  # noqa: E402
from swift.common import ring, utils  # noqa: E402
from swift.common.ring.builder import RingBuilder  # noqa: E402
from swift.container.server import ContainerController  # noqa: E402
from swift.obj.server import ObjectController  # noqa: E402

PIPELINE = """
[pipeline:main]
pipeline = catch_errors cache s3api tempauth bulk versioned_writes symlink slo proxy-logging proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
auth_pipeline_check = false
s3_acl = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {key} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
swift_dir = {folder}
"""


def serve(app, socket):
    eventlet.spawn(wsgi.server, socket, app, log_output=False)


def main():
    folder = os.environ["SWIFT_FOLDER"]
    utils.HASH_PATH_PREFIX, utils.HASH_PATH_SUFFIX = b"", b"keyward"
    devices = os.path.join(folder, "devices")
    os.makedirs(os.path.join(devices, "disk"), exist_ok=True)
    conf = {"devices": devices, "mount_check": "false", "swift_dir": folder}
    sockets = {}
    for name in ("account", "container", "object"):
        sockets[name] = eventlet.listen(("127.0.0.1", 0))
        port = sockets[name].getsockname()[1]
        builder = RingBuilder(2, 1, 0)
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1,
                         "replication_ip": "127.0.0.1", "replication_port": port})
        builder.rebalance()
        builder.get_ring().save(os.path.join(folder, name + ".ring.gz"))
    serve(AccountController(conf), sockets["account"])
    serve(ContainerController(conf), sockets["container"])
    serve(ObjectController(conf), sockets["object"])
    path = os.path.join(folder, "proxy.conf")
    with open(path, "w") as file:
        file.write(PIPELINE.format(key=os.environ["SWIFT_KEY"], folder=folder))
    proxy = loadapp("config:" + path)
    front = eventlet.listen(("127.0.0.1", int(os.environ.get("SWIFT_PORT") or 0)))
    port = front.getsockname()[1]
    if "SWIFT_CERTIFICATE" in os.environ:
        names = {"certfile": os.environ["SWIFT_CERTIFICATE"], "keyfile": os.environ["SWIFT_CERTIFICATE_KEY"]}
        front = eventlet.wrap_ssl(front, server_side=True, **names)
    serve(proxy, front)
    print("listening %d -" % port, file=sys.stderr, flush=True)
    # A read that blocks must not hold the servers up.
    eventlet.tpool.execute(sys.stdin.read)


main()
