export { type NixFlake, type NixFlakeOptions, writeNixFlake } from './write-flake.ts';
