// What a page offers beside what works without a script: a button that copies, a box that ticks all others.
const { copy, copied } = document.currentScript.dataset;

if (navigator.clipboard) {
  for (const shown of document.querySelectorAll(".secret, code.copy, [data-copies]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copies small outline secondary";
    button.textContent = copy;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(shown.innerText);
      button.textContent = copied;
    });
    shown.after(" ", button);
  }
}

for (const box of document.querySelectorAll("input[data-ticks]")) {
  const boxes = [...box.form.querySelectorAll(`input[name="${box.dataset.ticks}"]`)];
  const follow = () => {
    box.checked = boxes.every((each) => each.checked);
    box.indeterminate = !box.checked && boxes.some((each) => each.checked);
  };
  box.closest("[hidden]").hidden = false;
  box.addEventListener("change", () => {
    for (const each of boxes) each.checked = box.checked;
  });
  for (const each of boxes) each.addEventListener("change", follow);
}
