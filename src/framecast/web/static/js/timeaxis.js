// Where the lines of a plot over time stand, and what is written at them: arithmetic without a page.

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;
const STEPS_S = [5, 10, 15, 30].map((minutes) => minutes * MINUTE_S).concat([1, 2, 3, 6, 12].map((h) => h * HOUR_S), [
  DAY_S,
  2 * DAY_S,
  7 * DAY_S,
  14 * DAY_S,
  28 * DAY_S,
]);

/** The least of 1, 2, 2.5, 5 times a power of ten that is not below `value`; 1 where there is nothing to show. */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((top) => top >= value * 0.999999);
}

/**
 * Moments to mark between two, on the local clock's round times.
 *
 * @param offsetS What is added to Unix time to get local time.
 * @returns {stepS, times} with at most `most` times.
 */
export function ticks(fromS, toS, most, offsetS) {
  const stepS = STEPS_S.find((step) => (toS - fromS) / step <= most) ?? STEPS_S.at(-1);
  const times = [];
  for (let local = Math.ceil((fromS + offsetS) / stepS) * stepS; local <= toS + offsetS; local += stepS) {
    times.push(local - offsetS);
  }
  return { stepS, times };
}

/** What is written at such a mark: the time, or the day where the marks are days apart. */
export function tickText(timeS, stepS) {
  const date = new Date(timeS * 1000);
  if (stepS >= DAY_S) return date.toLocaleDateString([], { weekday: "short", day: "numeric" });
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** A moment as people say it: today the time alone. */
export function momentText(timeS, nowS) {
  const date = new Date(timeS * 1000);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date(nowS * 1000).toDateString()) return time;
  return `${date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short" })}, ${time}`;
}

/**
 * The stretches of a line: points that follow each other without a gap.
 *
 * @param times Unix seconds, rising. @param values Null where nothing is known.
 * @returns Arrays of indices.
 */
export function stretches(times, values, stepS) {
  const all = [];
  let last = -2;
  values.forEach((value, index) => {
    if (value === null) return;
    const follows = last === index - 1 && times[index] - times[last] <= stepS * 1.5;
    if (follows) all.at(-1).push(index);
    else all.push([index]);
    last = index;
  });
  return all;
}

/** The index of the point whose stretch of time holds `timeS`, or is nearest to it; -1 without points. */
export function nearest(times, timeS, stepS) {
  let found = -1;
  let least = Infinity;
  times.forEach((time, index) => {
    const distance = Math.abs(time + stepS / 2 - timeS);
    if (distance < least) [found, least] = [index, distance];
  });
  return found;
}
