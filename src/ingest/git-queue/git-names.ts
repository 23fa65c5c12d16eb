/**
 * Names that git itself reads, and names that HFS+ and NTFS would take for them (git: path.c,
 * utf8.c).
 */
const special = /^(\.git|\.gitmodules|\.gitattributes)[ .]*(:.*)?$/;
/** Short names that NTFS gives these files, such as `git~1` and `gi7eba~1`. */
const shortName = /^gi[^/]{0,6}~\d/;

/**
 * Whether this path is forbidden for a file in a commit.
 * `fetch.fsckObjects` inspects each file that git reads, or that might become one in a checkout
 * (git-fsck(1), “hasDotgit”, “gitmodulesUrl”). With wrong content there, nobody could fetch the
 * branch any more.
 */
export function isUnfitPath(path: string): boolean {
  if (path.split('/').some((name) => /^\.{0,2}$/.test(name))) return true;
  // Windows treats a backslash as a slash.
  return path.split(/[/\\]/).some((part) => {
    const name = part.replace(/\p{Cf}/gu, '').toLowerCase();
    return special.test(name) || shortName.test(name);
  });
}
