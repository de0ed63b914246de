// Elements of the page, made in one call.

/** Make an element with a text and a class, if they are given. */
export function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className !== undefined) element.className = className;
  return element;
}
