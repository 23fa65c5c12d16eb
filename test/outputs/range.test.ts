import { parseRange } from '../../src/storage/object-store/range.js';

test.each([
  ['bytes=0-0', 10, { kind: 'part', start: 0, end: 0 }],
  ['bytes=2-5', 10, { kind: 'part', start: 2, end: 5 }],
  ['bytes=2-', 10, { kind: 'part', start: 2, end: 9 }],
  ['bytes=2-999999999999999999999999', 10, { kind: 'part', start: 2, end: 9 }],
  ['bytes=-3', 10, { kind: 'part', start: 7, end: 9 }],
  ['bytes=-99', 10, { kind: 'part', start: 0, end: 9 }],
  ['BYTES=5000000000-5000000001', 6e9, { kind: 'part', start: 5e9, end: 5e9 + 1 }],
  ['bytes=10-', 10, { kind: 'unsatisfiable' }],
  ['bytes=-0', 10, { kind: 'unsatisfiable' }],
  ['bytes=0-', 0, { kind: 'unsatisfiable' }],
  ['bytes=-5', 0, { kind: 'whole' }],
])('the range %s of %d bytes is served or refused', (header, size, answer) => {
  expect(parseRange(header, size)).toEqual(answer);
});

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'bytes=5-2',
  'bytes=0-1,3-4',
  'lines=1-2',
  'bytes=a-b',
])('the header %j is ignored, as RFC 9110 allows', (header) => {
  expect(parseRange(header, 10)).toEqual({ kind: 'whole' });
});
