import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, slurm/, templates/ and dist/; the same from `src/` and from `dist/`. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
