import { expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { checkParams } from '../../src/jobs/templates/params.js';
import { templateFileSchema, type Template } from '../../src/jobs/templates/template.js';
import { refusal } from '../refusal.js';

/** Reads the template anew, as for each job: no object is the same as before. */
function read(properties: object, more: object = {}): Template {
  const params = { type: 'object', additionalProperties: false, properties, ...more };
  const file = templateFileSchema.parse({ description: 'a test’s', params });
  return { ...file, commandKey: 'train', folder: '/nowhere', body: '' };
}

test('a template with an $id in its schema serves more than one job', () => {
  const again = () =>
    read({ epochs: { type: 'integer', default: 3 } }, { $id: 'https://example.org/train' });
  expect(checkParams(again(), {})).toEqual({ epochs: 3 });
  expect(checkParams(again(), { epochs: '5' })).toEqual({ epochs: 5 });
});

test('an edited template takes effect at once', () => {
  expect(checkParams(read({ epochs: { type: 'integer' } }), { epochs: 1 })).toEqual({ epochs: 1 });
  const edited = read({ steps: { type: 'integer' } });
  expect(() => checkParams(edited, { epochs: 1 })).toThrow(refusal('bad_request', 'params.epochs'));
  expect(checkParams(edited, { steps: 1 })).toEqual({ steps: 1 });
});

test('a broken schema is reported until it is repaired', () => {
  const broken = read({ epochs: { type: 'number', minimum: 'many' } });
  for (let i = 0; i < 2; i++)
    expect(() => checkParams(broken, {})).toThrow(refusal('unprocessable', 'command_key'));
  expect(checkParams(read({ epochs: { minimum: 1 } }), { epochs: 2 })).toEqual({ epochs: 2 });
});

test('nothing is kept of a template once its job is checked', () => {
  const check = () => {
    const template = read({ epochs: { type: 'integer' } });
    checkParams(template, { epochs: 1 });
    return new WeakRef(template.params);
  };
  check();
  const later = Array.from({ length: 20 }, check);
  setFlagsFromString('--expose-gc');
  // A new WeakRef keeps its object until the turn ends.
  return new Promise(setImmediate).then(() => {
    (runInNewContext('gc') as () => void)();
    expect(later.filter((params) => params.deref() !== undefined)).toEqual([]);
  });
});
