export { type PushOptions, type PushResult, pushLayout } from './push.ts';
export { type ImageReference, parseReference } from './reference.ts';
