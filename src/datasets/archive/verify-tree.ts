import { spawnSync } from 'node:child_process';
import { printable } from './printable.js';

const WRONG = [
  ['(', '!', '-type', 'f', '!', '-type', 'd', '!', '-type', 'l', ')'],
  ['(', '-type', 'f', '(', '-links', '+1', '-o', '-perm', '/7027', ')', ')'],
  ['(', '-type', 'd', '-perm', '/7027', ')'],
];

/**
 * Checks the working directory with an independent program (find(1)). Throws on anything but files
 * with one name, folders and links, and on modes beyond owner's write and group's read. Such an
 * entry would be a bug of ours.
 */
export function verifyTree(): void {
  const tests = WRONG.flatMap((test, index) => (index === 0 ? test : ['-o', ...test]));
  const { status, stdout, stderr, error } = spawnSync(
    'find',
    ['.', '(', ...tests, ')', '-print', '-quit'],
    { encoding: 'latin1' },
  );
  if (error !== undefined) throw error;
  if (status !== 0 || stderr !== '')
    throw new Error(`cannot walk the unpacked tree: ${printable(stderr)}`);
  if (stdout !== '')
    throw new Error(`the unpacked tree holds a forbidden entry: ${printable(stdout)}`);
}
