#!/usr/bin/env node
import { fatElfTool } from './fatelf.js';

await fatElfTool('replace');
