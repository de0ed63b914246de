// Pictures of what each target token was made from: a small heat map for each sentence.

const SPACE = /^\u2581(?=.)/; // how the vocabulary writes a space before a piece

/** Make a table of one sentence: target tokens down, source tokens across, more colour is more. */
export function heatMap({ source_tokens: sources, target_tokens: targets, weights }) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  head.append(document.createElement("td"), ...sources.map((piece) => header(piece, "col")));
  const body = table.createTBody();
  targets.forEach((piece, t) => {
    const row = body.insertRow();
    row.append(header(piece, "row"));
    weights[t].forEach((weight, s) => {
      const cell = row.insertCell();
      cell.style.setProperty("--weight", weight);
      cell.title = `${shown(piece)} from ${shown(sources[s])}: ${percent(weight)}`;
      const spoken = document.createElement("span");
      spoken.className = "visually-hidden";
      spoken.textContent = percent(weight);
      cell.append(spoken);
    });
  });
  return table;
}

function header(piece, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  const text = document.createElement("span");
  text.textContent = shown(piece);
  cell.append(text);
  return cell;
}

function shown(piece) {
  return piece.replace(SPACE, "");
}

function percent(weight) {
  return `${(100 * weight).toFixed(0)} %`;
}
