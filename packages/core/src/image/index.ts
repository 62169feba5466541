export { type BuildFromImageOptions, buildFromImage } from './build-from-image.ts';
export { type BuildImageOptions, type BuildImageResult, buildImage } from './build-image.ts';
export { type ImageInput, imageName, parseImageInput } from './image-input.ts';
export type { AddedPlatform, ImagePlan, KeptPlatform } from './image-plan.ts';
