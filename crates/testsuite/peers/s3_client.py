"""Looks into an object store with MinIO's client: `URL USER KEY BUCKET WORD [NAME]`, where WORD is make, list or get.

Whom the certificate of an https:// must come from is in the file SSL_CERT_FILE.
"""

import sys
from urllib.parse import urlsplit

from minio import Minio

url, user, key, bucket, word = sys.argv[1:6]
url = urlsplit(url)
store = Minio(endpoint=url.netloc, access_key=user, secret_key=key, secure=url.scheme == "https", region="us-east-1")
if word == "make":
    store.make_bucket(bucket_name=bucket)
elif word == "list":
    for found in store.list_objects(bucket_name=bucket, recursive=True):
        print(found.object_name)
elif word == "get":
    with store.get_object(bucket_name=bucket, object_name=sys.argv[6]) as answer:
        sys.stdout.buffer.write(answer.read())
else:
    sys.exit("no such word: " + word)
