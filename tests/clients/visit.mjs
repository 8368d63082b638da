// Node's fetch: `node visit.mjs URL`; fails where an answer is wrong.
import assert from "node:assert/strict";

const base = process.argv[2];
const json = async (path, options) => {
  const answer = await fetch(base + path, options);
  assert.equal(answer.status, 200, path);
  return answer.json();
};

assert.deepEqual((await json("/get?a=b")).args, { a: "b" });
assert.ok((await json("/redirect/3")).url.endsWith("/get"));
assert.equal((await json("/gzip")).gzipped, true);
assert.equal((await json("/brotli")).brotli, true);
assert.deepEqual((await json("/post", { method: "POST", body: JSON.stringify([1]) })).json, [1]);

const form = new FormData();
form.append("a", "b");
form.append("f", new Blob(["in a file"]), "name.txt");
const filled = await json("/post", { method: "POST", body: form });
assert.deepEqual([filled.form, filled.files], [{ a: "b" }, { f: "in a file" }]);

const big = "0123456789".repeat(100_000);
const stream = new Blob([big]).stream();
const streamed = { method: "POST", body: stream, duplex: "half" };
assert.equal((await json("/post", streamed)).data, big);

const many = [...Array(50).keys()].map((n) => json(`/get?n=${n}`));
assert.deepEqual((await Promise.all(many)).map((said) => Number(said.args.n)), [
  ...Array(50).keys(),
]);

const lines = (await (await fetch(base + "/stream/10")).text()).trim().split("\n");
assert.deepEqual(lines.map((line) => JSON.parse(line).id), [...Array(10).keys()]);

assert.equal((await fetch(base + "/status/404")).status, 404);
await assert.rejects(fetch(base + "/delay/5", { signal: AbortSignal.timeout(200) }));
assert.equal((await (await fetch(base + "/get", { method: "HEAD" })).text()), "");
// A message each way, and the end; before Node 22 WebSocket is there with a flag.
const socket = new WebSocket(base.replace("http", "ws") + "/websocket/echo");
socket.binaryType = "arraybuffer";
const heard = [];
const closed = await new Promise((resolve, reject) => {
  socket.onerror = (event) => reject(event.error ?? event);
  socket.onopen = () => {
    socket.send("\u00e9".repeat(50_000));
    socket.send(new Uint8Array([0, 255]));
  };
  socket.onmessage = (event) => {
    heard.push(typeof event.data === "string" ? event.data.length : event.data.byteLength);
    if (heard.length === 2) socket.close(1000, "bye");
  };
  socket.onclose = resolve;
});
assert.deepEqual(heard, [50_000, 2]);
assert.deepEqual([closed.code, closed.wasClean], [1000, true]);
console.log("visited");
