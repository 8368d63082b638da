// Whatever toxiproxy-node-client can do, against the API at argv[2], with the service at argv[3].
import { createRequire } from "node:module";
import net from "node:net";

const [, , host, upstream, modules] = process.argv;
const { Toxiproxy } = createRequire(`${modules}/`)("toxiproxy-node-client");

function check(is, what) {
  if (!is) throw new Error(what);
}

function say(listen, text) {
  return new Promise((resolve, reject) => {
    const [address, port] = listen.split(":");
    const client = net.connect(Number(port), address, () => client.end(text));
    let heard = "";
    client.on("data", (data) => (heard += data));
    client.on("end", () => resolve(heard));
    client.on("error", reject);
  });
}

const toxiproxy = new Toxiproxy(host);
check((await toxiproxy.getVersion()).includes("2.12.0"), "version");
const proxy = await toxiproxy.createProxy({ listen: "127.0.0.1:0", name: "node", upstream });
check(!proxy.listen.endsWith(":0"), "the port is told");
check((await say(proxy.listen, "hello")) === "hello", "it relays");
let failure = null;
await toxiproxy.createProxy({ listen: "127.0.0.1:0", name: "node", upstream }).catch((e) => (failure = e));
check(failure !== null, "a second one of that name");
check(String(failure).includes("409"), `${failure}`);

const toxic = await proxy.addToxic({
  attributes: { latency: 300, jitter: 0 }, name: "slow", stream: "downstream", toxicity: 1, type: "latency",
});
let start = performance.now();
check((await say(proxy.listen, "slow")) === "slow", "it relays slowly");
check(performance.now() - start > 290, "the toxic is at work");
check((await proxy.getToxic("slow")).attributes.latency === 300, "attributes");
await toxic.update({ attributes: { latency: 1 } });
check((await proxy.getToxic("slow")).attributes.latency === 1, "updated");
await toxic.remove();

const off = await proxy.update({ enabled: false, listen: proxy.listen, upstream });
check(off.enabled === false, "off");
await say(proxy.listen, "x").then(() => check(false, "refused"), () => {});
await toxiproxy.reset();
check((await toxiproxy.get("node")).enabled === true, "reset enables");
const populated = await toxiproxy.populate([{ name: "node", listen: proxy.listen, upstream },
  { name: "other", listen: "127.0.0.1:0", upstream }]);
check(Object.keys(populated).sort().join() === "node,other", "populate");
const all = await toxiproxy.getAll();
check(Object.keys(all).sort().join() === "node,other", "all");
for (const one of Object.values(all)) await one.remove();
check(Object.keys(await toxiproxy.getAll()).length === 0, "none are left");
console.log("all is well");
