-- Traces that are compiled, and callbacks through the foreign function interface.
local total = 0
for i = 1, 3e6 do total = (total + i * 7) % 1000003 end
print(total)
local ffi = require('ffi')
ffi.cdef('int getpid(void); void qsort(void *, size_t, size_t, int (*)(const void *, const void *));')
local list = ffi.new('int[5]', 5, 3, 9, 1, 7)
ffi.C.qsort(list, 5, 4, function(a, b)
  return ffi.cast('const int *', a)[0] - ffi.cast('const int *', b)[0]
end)
print(list[0], list[4], ffi.C.getpid() > 0)
print(io.popen('seq 3 | tail -n 1'):read('*l'), jit.status())
