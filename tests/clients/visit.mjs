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
console.log("visited");
