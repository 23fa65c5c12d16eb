/** Those that git itself reads, each as HFS+ and NTFS would take other names for it (git: path.c, utf8.c). */
const special = /^(\.git|\.gitmodules|\.gitattributes)[ .]*(:.*)?$/;
/** Short names that NTFS makes of them, such as `git~1` and `gi7eba~1`. */
const shortName = /^gi[^/]{0,6}~\d/;

/**
 * Whether no file of a commit may have this path. One that git reads, or that might become one in a checkout, is looked into by `fetch.fsckObjects`
 * (git-fsck(1), “hasDotgit”, “gitmodulesUrl”): with the wrong content, nobody could fetch the branch any more.
 */
export function isUnfitPath(path: string): boolean {
  if (path.split('/').some((name) => /^\.{0,2}$/.test(name))) return true;
  // To Windows a backslash is a slash.
  return path.split(/[/\\]/).some((part) => {
    const name = part.replace(/\p{Cf}/gu, '').toLowerCase();
    return special.test(name) || shortName.test(name);
  });
}
