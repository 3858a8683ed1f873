#undef assert
#ifdef NDEBUG
#define assert(what) ((void)0)
#else
#define assert(what) ((what) ? (void)0 : __builtin_trap())
#endif
#define static_assert _Static_assert
