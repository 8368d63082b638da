// What the scripts of the page share; without them it is a page of links and commands.
export const one = (id) => document.getElementById(id);

export function hex(bytes, most = 512) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += 16) {
    const part = [...bytes.subarray(at, Math.min(at + 16, most))];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "."));
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${text.join("")}`);
  }
  if (bytes.length > most) lines.push(`… ${bytes.length} bytes in all`);
  return lines.join("\n");
}

for (const element of document.querySelectorAll("[data-scripted], .pick")) element.hidden = false;

// Find a route.
one("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  let found = false;
  for (const section of document.querySelectorAll("#routes section")) {
    let inSection = false;
    for (const list of section.querySelectorAll(".routes")) {
      let inList = false;
      for (const row of list.children) {
        row.hidden = !row.querySelector(".what").textContent.toLowerCase().includes(wanted);
        inList ||= !row.hidden;
      }
      list.hidden = list.previousElementSibling.hidden = !inList;
      inSection ||= inList;
    }
    section.hidden = !inSection;
    found ||= inSection;
  }
  one("nothing").hidden = found;
});
