import { expect, test } from '@jest/globals';
import { nearest, unknownNames } from '../../src/schema-problems.js';
import { submitSchema } from '../../src/jobs/request.js';

const fields = Object.keys(submitSchema.shape);

test.each([
  ['cmd', 'command'],
  ['comand', 'command'],
  ['commandKey', 'command_key'],
  ['command-key', 'command_key'],
  ['gpu', 'gpus'],
  ['agrs', 'args'],
  ['mem', 'mem_gb'],
  ['partion', 'partition'],
  ['dataset', 'dataset_sha'],
  ['timelimit', 'time_limit'],
])('%s is taken for %s', (typed, meant) => {
  expect(nearest(typed, fields)).toBe(meant);
});

test.each(['', 'x', 'colour', 'nonsense', '{}', 'constructor'])('%j is like no field', (typed) => {
  expect(nearest(typed, fields)).toBeUndefined();
});

test('an unknown name is told with the nearest one and what there is', () => {
  expect(unknownNames(['cmd', 'xyz'], 'field', ['args', 'command'])).toBe(
    'cmd: no such field (did you mean command?); xyz: no such field; available: args, command',
  );
  expect(unknownNames(['x'], 'field', [])).toBe('x: no such field; there is no field here');
  const many = Array.from({ length: 1000 }, (_, i) => `${i}`.repeat(1000));
  expect(unknownNames(many, 'field', ['a']).length).toBeLessThan(1000);
});
