/** Of the box's own node. */
export const MAIN_PARTITION = 'main';

/** Of the hosts that are reached over SSH. */
export const SSH_PARTITION = 'ssh';

/** Of the worker boxes. */
export const BOXES_PARTITION = 'boxes';
