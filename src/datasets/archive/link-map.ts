import { MAX_DEPTH } from './entry-name.js';
import { printable } from './printable.js';
import { refusal } from './refusal.js';

/** The kernel's own limit (path_resolution(7)). */
const MAX_HOPS = 40;
/** Most steps for the whole archive, against a hostile web of long links. */
const MAX_STEPS = 10_000_000;
const MAX_TARGET = 4095;

/**
 * The tree's symbolic links, made last so that nothing can be written through one. A link may
 * dangle (its target was not packed) as long as it points inside the tree. The tree is read-only,
 * so nothing can appear there later.
 */
export class LinkMap {
  readonly #targets = new Map<string, string>();
  #steps = 0;

  get size(): number {
    return this.#targets.size;
  }

  get(path: string): string | undefined {
    return this.#targets.get(path);
  }

  entries(): IterableIterator<[path: string, target: string]> {
    return this.#targets.entries();
  }

  /** Adds a link. Throws `archive_refused` for a target whose text leaves the tree. */
  add(path: string, target: string): void {
    if (target === '') throw refusal('is a link with an empty target', path);
    if (target.includes('\0')) throw refusal("has a NUL byte in its link's target", path);
    if (target.length > MAX_TARGET) throw refusal('is a link whose target is too long', path);
    if (target.startsWith('/')) throw refusal(`${leaving(target)}: the target is absolute`, path);
    let depth = path.split('/').length - 1;
    for (const component of target.split('/')) {
      if (component === '..') depth--;
      else if (component !== '' && component !== '.') depth++;
      if (depth < 0) throw refusal(leaving(target), path);
    }
    this.#targets.set(path, target);
  }

  /**
   * Follows each link through all others, as the kernel would. Throws `archive_refused` for one
   * that leaves the tree or forms a circle.
   */
  check(): void {
    for (const [path, target] of this.#targets) this.#follow(path, target);
  }

  #follow(path: string, target: string): void {
    const at = path.split('/').slice(0, -1);
    const todo = target.split('/').reverse();
    let hops = 0;
    for (let component = todo.pop(); component !== undefined; component = todo.pop()) {
      if (++this.#steps > MAX_STEPS) throw refusal('is part of too large a web of links', path);
      if (component === '' || component === '.') continue;
      if (component === '..') {
        if (at.pop() === undefined) throw refusal(`${leaving(target)} through another link`, path);
        continue;
      }
      at.push(component);
      // No entry lies deeper, and joining a long path is slow.
      const next = at.length > MAX_DEPTH ? undefined : this.#targets.get(at.join('/'));
      if (next === undefined) continue;
      if (++hops > MAX_HOPS) throw refusal('is a link in a circle', path);
      at.pop();
      todo.push(...next.split('/').reverse());
    }
  }
}

function leaving(target: string): string {
  return `is a link that leaves the tree (to "${printable(target)}")`;
}
