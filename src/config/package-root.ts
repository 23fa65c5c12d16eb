import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder that holds package.json, slurm/, templates/ and dist/; the same from `src/` and from
 * `dist/`.
 */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Returns the path of a compiled program that we start as a thread or a process. Node cannot start
 * TypeScript, so tests, which run the sources, start the compiled one, too.
 * @param path below `dist/`
 */
export function compiledProgram(path: string): string {
  return join(packageRoot, 'dist', path);
}
