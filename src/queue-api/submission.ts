import type { Request, Response } from 'express';
import { tokenInBody } from '../auth/audit.js';
import { bearerOf, type Authenticator } from '../auth/authenticator.js';
import { setCaller } from '../auth/caller.js';
import type { Sender, Senders } from '../auth/senders.js';
import { AppError, fieldError } from '../errors.js';
import { AnonymousUploads } from './anonymous-uploads.js';
import { readSubmitForm, submittedParts } from './upload.js';

/** Reads the forms of `/api/submit`, whose token is in the header or in the form itself. */
export class Submissions {
  readonly #authenticator: Authenticator;
  readonly #senders: Senders;
  readonly #anonymous = new AnonymousUploads();

  constructor(authenticator: Authenticator, senders: Senders) {
    this.#authenticator = authenticator;
    this.#senders = senders;
  }

  /**
   * Reads a form and finds its caller.
   * @throws AppError unauthorized, too_many_attempts; as `readSubmitForm` and `submittedParts` do
   */
  async read(req: Request, res: Response) {
    const bearer = bearerOf(req);
    const sender = this.#senders.of(req, res);
    if (bearer === undefined)
      return this.#anonymous.hold(await sender.name(), (signal) =>
        this.#readForm(req, res, sender, signal),
      );
    // Check the header before reading the form. If the form has a token of its own, that one
    // decides the job’s owner.
    await this.#callerOf(sender, bearer);
    return this.#readForm(req, res, sender);
  }

  async #readForm(req: Request, res: Response, sender: Sender, signal?: AbortSignal) {
    await readSubmitForm(req, res, signal);
    const submission = submittedParts(req);
    tokenInBody(res);
    const caller = await this.#callerOf(sender, submission.config.token ?? bearerOf(req));
    setCaller(res, caller);
    return { ...submission, caller };
  }

  async #callerOf(sender: Sender, token: string | undefined) {
    try {
      return await this.#authenticator.check(token, sender);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unauthorized') throw error;
      throw fieldError(
        'unauthorized',
        'token',
        'invalid or missing; send it in config_file or as "Authorization: Bearer <token>"',
      );
    }
  }
}
