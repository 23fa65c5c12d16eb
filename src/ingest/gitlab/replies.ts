import { z } from 'zod';

/** An object id of git: SHA-1 or SHA-256. */
const objectId = z.string().regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/, 'expected an object id');

/**
 * GitLab sends null for a switch that was never set; null means false (docs.gitlab.com/api/rest,
 * “null vs false”).
 */
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

/** The used fields of docs.gitlab.com/api/projects; other fields are ignored. */
export const projectSchema = z
  .object({
    id: z.int().positive(),
    name: z.string(),
    path_with_namespace: z.string(),
    web_url: z.string(),
    /** Null without a repository, or for an empty one. */
    default_branch: z.string().min(1).nullish().catch(null),
    archived: flag,
    empty_repo: flag,
    repository_access_level: z.string().nullish(),
  })
  .transform((project) => ({
    id: project.id,
    name: project.name,
    path: project.path_with_namespace,
    webUrl: project.web_url,
    defaultBranch: project.default_branch ?? undefined,
    archived: project.archived,
    isEmpty: project.empty_repo,
    hasRepository: project.repository_access_level !== 'disabled',
  }));
export type GitLabProject = z.infer<typeof projectSchema>;

/** docs.gitlab.com/api/repository_files, “Get file from repository”. */
export const fileSchema = z
  .object({
    content: z.base64(),
    encoding: z.literal('base64'),
    blob_id: objectId,
    commit_id: objectId,
    last_commit_id: objectId,
  })
  .transform((file) => ({
    content: Buffer.from(file.content, 'base64'),
    /** Id of the content: equal files have the same id. */
    blobId: file.blob_id,
    /** Commit that `ref` resolved to: for a branch, its last one. */
    commitId: file.commit_id,
    /**
     * Last commit, up to `commitId`, that changed this file. Updates are made conditional on it.
     */
    lastCommitId: file.last_commit_id,
  }));
export type GitLabFile = z.infer<typeof fileSchema>;

/** docs.gitlab.com/api/repositories, “List repository tree”. A `commit` is a submodule. */
export const treeSchema = z.array(
  z
    .object({
      id: objectId,
      path: z.string(),
      type: z.enum(['blob', 'tree', 'commit']),
    })
    .transform(({ id, path, type }) => ({ id, path, type })),
);
export type TreeEntry = z.infer<typeof treeSchema>[number];

/** docs.gitlab.com/api/branches, “Get single repository branch”. */
export const branchSchema = z.object({ commit: z.object({ id: objectId }) });
