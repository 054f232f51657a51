// Tell how far a list is while it is written, and show the page anew when that ends.
const card = document.querySelector("[data-state]");

async function look() {
  const answer = await fetch(card.dataset.state, { headers: { Accept: "application/json" } }).catch(() => null);
  if (answer?.ok) {
    const told = await answer.json();
    const words = card.querySelector("[data-words]");
    if (words.textContent !== told.words) words.textContent = told.words;
    card.querySelector("progress").value = told.percent;
    if (told.state !== "waiting" && told.state !== "running") {
      location.reload();
      return;
    }
  }
  setTimeout(look, 2000);
}

if (card) setTimeout(look, 1000);
