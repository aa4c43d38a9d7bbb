"""Posts a body twice on one connection with http.client, the second time in chunks and with an upgrade."""

import http.client
import sys
from urllib.parse import urlsplit

url, body = urlsplit(sys.argv[1]), sys.argv[2].encode()
connection = http.client.HTTPConnection(url.hostname, url.port)
for headers, chunked in (({}, False), ({"Connection": "Upgrade", "Upgrade": "h2c"}, True)):
    connection.request("POST", url.path, iter([body]) if chunked else body, headers, encode_chunked=chunked)
    response = connection.getresponse()
    print(response.status, response.read().decode())
