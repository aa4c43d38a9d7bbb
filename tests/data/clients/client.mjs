// Posts a body with fetch, then with an upgrade by the http module, as WebSocket libraries send it.
import http from "node:http";

const [url, body] = process.argv.slice(2);
const first = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
console.log(first.status, await first.text());

await new Promise((done, failed) => {
  const headers = { connection: "Upgrade", upgrade: "websocket", "content-length": Buffer.byteLength(body) };
  const request = http.request(url, { method: "POST", headers }, async (response) => {
    let text = "";
    for await (const part of response) text += part;
    console.log(response.statusCode, text);
    done();
  });
  request.on("error", failed);
  request.end(body);
});
