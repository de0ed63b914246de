// Places in a text. The service counts characters (code points), strings here are UTF-16.

/** Turn places counted in characters into places in `text`. */
export function placesOf(text) {
  const places = [];
  let place = 0;
  for (const character of text) {
    places.push(place);
    place += character.length;
  }
  places.push(place);
  return places;
}

/** Return what of `text` stands in a span of characters. */
export function cut(text, places, [begin, end]) {
  return text.slice(places[begin], places[end]);
}

const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** Yield the words of a text and what stands between them, with their spans in UTF-16. */
export function* wordsOf(text) {
  for (const { segment, index, isWordLike } of words.segment(text)) {
    yield { text: segment, begin: index, end: index + segment.length, isWord: isWordLike };
  }
}

/** Return the spans of the source that a span of the translation was made from. */
export function sourcesOf(links, begin, end) {
  return links
    .filter((link) => link.target[0] < end && begin < link.target[1])
    .map((link) => link.source);
}

/** Return the word-level alignment of a translation with its places in UTF-16. */
export function linksOf(alignment, source, target) {
  const sources = placesOf(source);
  const targets = placesOf(target);
  return alignment.map((link) => ({
    source: link.source_span.map((place) => sources[place]),
    target: link.target_span.map((place) => targets[place]),
  }));
}

/** Say which words of `text` are not in `other`, by their longest common subsequence. */
export function differences(text, other) {
  const ours = [...wordsOf(text)];
  const theirs = [...wordsOf(other)].map((word) => word.text);
  const lengths = Array.from({ length: ours.length + 1 }, () => new Uint16Array(theirs.length + 1));
  for (let i = ours.length - 1; i >= 0; i--) {
    for (let j = theirs.length - 1; j >= 0; j--) {
      lengths[i][j] =
        ours[i].text === theirs[j]
          ? lengths[i + 1][j + 1] + 1
          : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const found = [];
  let [i, j] = [0, 0];
  while (i < ours.length) {
    const isCommon = j < theirs.length && ours[i].text === theirs[j];
    if (!isCommon && j < theirs.length && lengths[i][j + 1] > lengths[i + 1][j]) {
      j++;
      continue;
    }
    found.push({ text: ours[i].text, isNew: !isCommon && ours[i].isWord });
    i++;
    if (isCommon) j++;
  }
  return found;
}
