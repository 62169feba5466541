// Entry point: FatELF files.
export * as fatElfFiles from '@uport/fatelf/files';
