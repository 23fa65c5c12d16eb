import { GitLabError } from './errors.js';

/**
 * The page after this one, as its `Link` header (RFC 8288) has it: GitLab's links are to be followed as they stand
 * (docs.gitlab.com/api/rest, “Pagination `Link` header”).
 * @param from the page's own URL; a link elsewhere is an error, since the token would go there.
 * @returns undefined after the last page.
 */
export function nextPage(headers: Headers, from: URL): URL | undefined {
  const link = headers.get('link');
  if (link === null) return undefined;
  for (const [, target = '', parameters = ''] of link.matchAll(/<([^<>]*)>((?:\s*;[^,<]*)*)/g)) {
    if (!/;\s*rel\s*=\s*(?:"next"|next\s*(?:;|$))/i.test(parameters)) continue;
    if (!URL.canParse(target, from.href))
      throw new GitLabError('GitLab names a next page that is no URL');
    const next = new URL(target, from.href);
    if (next.origin !== from.origin)
      throw new GitLabError(
        `GitLab at ${from.origin} names ${next.origin} for its next page: use that as its URL (JR_GITLAB_URL or --gitlab-url)`,
      );
    if (next.href === from.href) throw new GitLabError('GitLab names a page as its own next one');
    return next;
  }
  return undefined;
}
