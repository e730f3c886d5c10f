using Skep.Bpf;
using Skep.Bpf.Elf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Elf;

/// <summary>What authors of C programs use of libbpf's conventions, each by a small object of our own.</summary>
public sealed class ForeignFeatureTests
{
    private const string Prelude = """
        #define SEC(n) __attribute__((section(n), used))
        #define WEAK __attribute__((weak))
        #define CORE __attribute__((preserve_access_index))
        #define NOINLINE __attribute__((noinline))
        #define __uint(n, v) int (*n)[v]
        #define __type(n, v) typeof(v) *n
        #define __array(n, v) typeof(v) *n[]
        typedef unsigned int u32;
        typedef unsigned long long u64;
        typedef _Bool bool;
        static void *(*lookup)(void *, const void *) = (void *)1;
        static long (*tail_call)(void *, void *, u32) = (void *)12;
        static long (*spin_lock)(void *) = (void *)93;
        static long (*spin_unlock)(void *) = (void *)94;
        static void *(*per_cpu_ptr)(const void *, u32) = (void *)153;
        static long (*timer_init)(void *, void *, u64) = (void *)169;
        char LICENSE[] SEC("license") = "GPL";

        """;

    private static LoadedObject Load(string source, LoadOptions? options = null)
    {
        var loaded = ObjectSpec.Read(Clang.Compile(Prelude + source)).Load(options);
        var errors = loaded.Maps.Select(m => (m.Map.Name, m.Error)).Concat(loaded.Programs.Select(p => (p.Source.Name, p.Error))).Where(e => e.Error is not null);
        if (errors.Any())
        {
            loaded.Dispose();
            Assert.Fail(string.Join('\n', errors.Select(e => $"{e.Name}: {e.Error!.Message}")));
        }

        return loaded;
    }

    private static int Run(LoadedObject loaded, string program) =>
        loaded.Programs.Single(p => p.Source.Name == program).Program!.TestRun(new byte[64]).ReturnValue;

    [KernelFact]
    public void Locks_and_timers_in_values_work_because_the_kernel_gets_their_types()
    {
        using var loaded = Load("""
            struct bpf_spin_lock { u32 val; };
            struct bpf_timer { u64 a[2]; } __attribute__((aligned(8)));
            struct value { struct bpf_spin_lock lock; u32 hits; };
            struct timed { struct bpf_timer timer; };
            struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, struct value); } locked SEC(".maps");
            struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, struct timed); } timers SEC(".maps");
            SEC("tc") int locks(void *ctx)
            {
                u32 k = 0;
                struct value *v = lookup(&locked, &k);
                if (!v) return -1;
                spin_lock(&v->lock);
                v->hits++;
                u32 hits = v->hits;
                spin_unlock(&v->lock);
                return hits;
            }
            SEC("tc") int times(void *ctx)
            {
                u32 k = 0;
                struct timed *v = lookup(&timers, &k);
                return v ? timer_init(&v->timer, &timers, 1) : -1;
            }
            """);
        Assert.Equal([1, 2], [Run(loaded, "locks"), Run(loaded, "locks")]);
        Assert.Equal(0, Run(loaded, "times"));
        Assert.Equal(-Errno.Busy, Run(loaded, "times")); // it is initialised already
    }

    [KernelFact]
    public void Options_of_the_kernel_are_constants_and_weak_ones_may_be_missing()
    {
        using var loaded = Load("""
            enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
            extern int LINUX_KERNEL_VERSION SEC(".kconfig");
            extern bool CONFIG_BPF SEC(".kconfig");
            extern enum libbpf_tristate CONFIG_NET SEC(".kconfig");
            extern int CONFIG_HZ SEC(".kconfig") WEAK;
            extern bool CONFIG_NO_KERNEL_HAS_THIS SEC(".kconfig") WEAK;
            extern char CONFIG_DEFAULT_HOSTNAME[16] SEC(".kconfig") WEAK;
            SEC("tc") int version(void *ctx) { return LINUX_KERNEL_VERSION; }
            SEC("tc") int options(void *ctx) { return CONFIG_BPF && CONFIG_NET == TRI_YES && !CONFIG_NO_KERNEL_HAS_THIS; }
            SEC("tc") int hertz(void *ctx) { return CONFIG_HZ; }
            """);
        var version = Environment.OSVersion.Version;
        Assert.Equal((version.Major << 16) | (version.Minor << 8) | version.Build, Run(loaded, "version"));
        Assert.Equal(1, Run(loaded, "options"));
        Assert.InRange(Run(loaded, "hertz"), 0, 1000);
    }

    [KernelFact]
    public void A_missing_option_that_is_not_weak_spoils_only_the_program_that_asks_for_it()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            extern int CONFIG_NO_KERNEL_HAS_THIS SEC(".kconfig");
            SEC("tc") int asks(void *ctx) { return CONFIG_NO_KERNEL_HAS_THIS; }
            SEC("tc") int does_not(void *ctx) { return 3; }
            """)).Load();
        Assert.Contains("CONFIG_NO_KERNEL_HAS_THIS", loaded.Programs.Single(p => p.Source.Name == "asks").Error!.Message, StringComparison.Ordinal);
        Assert.Equal(3, Run(loaded, "does_not"));
    }

    [KernelFact]
    public void Variables_and_functions_of_the_kernel_are_found_and_weak_ones_may_be_missing()
    {
        using var loaded = Load("""
            extern const void schedule SEC(".ksyms");
            extern const void never_heard_of SEC(".ksyms") WEAK;
            extern void bpf_rcu_read_lock(void) SEC(".ksyms");
            extern void bpf_rcu_read_unlock(void) SEC(".ksyms");
            extern int never_there(int) SEC(".ksyms") WEAK;
            SEC("tc") int addresses(void *ctx) { return &schedule && !&never_heard_of; }
            SEC("tc") int calls(void *ctx)
            {
                bpf_rcu_read_lock();
                bpf_rcu_read_unlock();
                return never_there ? never_there(1) : 7;
            }
            """);
        Assert.Equal(1, Run(loaded, "addresses"));
        Assert.Equal(7, Run(loaded, "calls"));
    }

    [KernelFact]
    public void A_variable_of_the_kernel_is_had_by_its_type_where_the_kernel_keeps_the_names_of_its_variables()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            struct rq { u32 nothing; };
            extern const struct rq runqueues SEC(".ksyms");
            SEC("tc") int typed(void *ctx) { return per_cpu_ptr(&runqueues, 0) != 0; }
            """)).Load();
        var program = Assert.Single(loaded.Programs);
        Assert.Contains(program.Source.Spec!.Instructions, i => i is { IsWideLoad: true, Src: 3 } && i.Immediate == (int)Bpf.Btf.BtfFile.Kernel!.Find("runqueues", Bpf.Btf.BtfKind.Variable)!.Value);
        if (Bpf.Features.KernelConfiguration.Running.GetValueOrDefault("CONFIG_KALLSYMS_ALL") == "y")
        {
            Assert.Equal(1, Run(loaded, "typed"));
        }
        else
        {
            Assert.Contains("failed to find the address for kernel symbol 'runqueues'", program.Error!.Message, StringComparison.Ordinal);
        }
    }

    [KernelFact]
    public void A_function_of_the_kernel_with_other_parameters_is_not_taken_for_the_one_declared()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            extern void bpf_rcu_read_lock(int, int) SEC(".ksyms");
            SEC("tc") int calls(void *ctx) { bpf_rcu_read_lock(1, 2); return 0; }
            """)).Load();
        Assert.Contains("another type", Assert.Single(loaded.Programs).Error!.Message, StringComparison.Ordinal);
    }

    [KernelFact]
    public void Maps_of_maps_and_arrays_of_programs_hold_from_the_start_what_their_author_wrote()
    {
        using var loaded = Load("""
            struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } first SEC(".maps"), second SEC(".maps");
            struct { __uint(type, 12); __uint(max_entries, 3); __uint(key_size, 4); __array(values, struct inner); }
                outer SEC(".maps") = { .values = { [0] = &first, [2] = &second } };
            SEC("tc") int nine(void *ctx) { return 9; }
            struct { __uint(type, 3); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int(void *)); }
                jumps SEC(".maps") = { .values = { [1] = (void *)&nine } };
            SEC("tc") int held(void *ctx)
            {
                int n = 0;
                for (u32 k = 0; k < 3; k++) { u32 i = k; if (lookup(&outer, &i)) n |= 1 << i; }
                return n;
            }
            SEC("tc") int jump(void *ctx) { tail_call(ctx, &jumps, 1); return 1; }
            """);
        Assert.Equal(5, Run(loaded, "held"));
        Assert.Equal(9, Run(loaded, "jump"));
    }

    [KernelFact]
    public void Data_sections_of_other_names_are_maps_of_their_own()
    {
        using var loaded = Load("""
            const volatile u32 limit SEC(".rodata.limits") = 5;
            u32 state SEC(".data.states") = 6;
            u32 zero SEC(".bss.zeros");
            SEC("tc") int sum(void *ctx) { return limit + state++ + zero++; }
            """);
        Assert.Equal([11, 13], [Run(loaded, "sum"), Run(loaded, "sum")]);
        Assert.Equal([".bss.zeros", ".data.states", ".rodata.limits"], loaded.Maps.Select(m => m.Map.Name).Order());
    }

    [KernelFact]
    public void Programs_with_a_question_mark_wait_hidden_functions_see_pointers_and_static_programs_load()
    {
        using var loaded = Load("""
            struct pair { u32 a, b; };
            __attribute__((visibility("hidden"))) NOINLINE u32 sum(struct pair *p) { return p->a + p->b; }
            SEC("?tc") int optional(void *ctx) { return *(int *)0; }
            static SEC("tc") int secret(void *ctx) { struct pair p = { 3, 4 }; return sum(&p); }
            """);
        Assert.Null(loaded.Programs.Single(p => p.Source.Name == "optional").Program);
        Assert.Equal(7, Run(loaded, "secret"));
    }

    [KernelFact]
    public void Questions_to_the_kernels_types_are_answered_as_its_headers_would()
    {
        using var loaded = Load("""
            enum bpf_map_type { BPF_MAP_TYPE_HASH = 77 };
            enum bpf_map_type___mine { BPF_MAP_TYPE_HASH___mine = 1, BPF_MAP_TYPE_NONE_HAS = 2 };
            struct list_head { struct list_head *next, *prev; } CORE;
            struct list_head___wrong { struct list_head *next; int prev; } CORE;
            struct iphdr { unsigned char version : 4, ihl : 4; } CORE;
            typedef unsigned int gfp_t;
            typedef struct { int x; } no_such_typedef;
            #define SIZE(t) __builtin_preserve_type_info(*(t *)0, 1)
            #define EXISTS(t) __builtin_preserve_type_info(*(t *)0, 0)
            #define ENUM(e, v, k) __builtin_preserve_enum_value(*(typeof(e) *)v, k)
            #define FIELD(t, f, k) __builtin_preserve_field_info(((t *)0)->f, k)
            SEC("tc") int enumerator(void *ctx) { return ENUM(enum bpf_map_type, BPF_MAP_TYPE_HASH, 1); }
            SEC("tc") int enumerators(void *ctx) { return ENUM(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___mine, 0) * 2 + ENUM(enum bpf_map_type___mine, BPF_MAP_TYPE_NONE_HAS, 0); }
            SEC("tc") int sizes(void *ctx) { return SIZE(struct list_head) * 100 + SIZE(no_such_typedef); }
            SEC("tc") int types(void *ctx) { return EXISTS(struct list_head) * 4 + EXISTS(gfp_t) * 2 + EXISTS(no_such_typedef); }
            SEC("tc") int fields(void *ctx) { return FIELD(struct list_head___wrong, next, 2) * 2 + FIELD(struct list_head___wrong, prev, 2); }
            SEC("tc") int bits(void *ctx) { return FIELD(struct iphdr, version, 4) * 100 + FIELD(struct iphdr, version, 5); }
            """);
        Assert.Equal(1, Run(loaded, "enumerator"));
        Assert.Equal(2, Run(loaded, "enumerators"));
        Assert.Equal(1600, Run(loaded, "sizes"));
        Assert.Equal(6, Run(loaded, "types"));
        Assert.Equal(2, Run(loaded, "fields"));
        Assert.Equal((56 * 100) + 60, Run(loaded, "bits")); // version is the upper half of the byte: shift left by 56, right by 60
    }

    [KernelFact]
    public void What_the_kernel_lacks_is_named_when_the_verifier_meets_it()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            struct sk_buff { u32 len, field_of_dreams; } CORE;
            SEC("tp_btf/kfree_skb") int reads(u64 *ctx) { return ((struct sk_buff *)ctx[0])->field_of_dreams; }
            """)).Load();
        var error = Assert.IsType<NotSupportedException>(Assert.Single(loaded.Programs).Error);
        Assert.Contains("field 'field_of_dreams' in struct sk_buff", error.Message, StringComparison.Ordinal);
        Assert.IsType<Bpf.Verification.VerifierException>(error.InnerException);
    }

    [KernelFact]
    public void A_table_of_functions_for_the_kernel_is_created_and_its_programs_load()
    {
        using var loaded = Load("""
            struct sock;
            struct tcp_congestion_ops___own { u32 (*ssthresh)(struct sock *); void (*cong_avoid)(struct sock *, u32, u32); u32 (*undo_cwnd)(struct sock *); char name[16]; u64 not_in_any_kernel; };
            SEC("struct_ops") u32 own_ssthresh(u64 *ctx) { return 2; }
            SEC("struct_ops") u32 own_undo(u64 *ctx) { return 10; }
            SEC("struct_ops") void own_avoid(u64 *ctx) { }
            SEC(".struct_ops.link") struct tcp_congestion_ops___own own = {
                .ssthresh = (void *)own_ssthresh, .cong_avoid = (void *)own_avoid, .undo_cwnd = (void *)own_undo, .name = "skep_elf" };
            """);
        Assert.Equal(MapKind.StructOps, Assert.Single(loaded.Maps).Map.Kind);
        Assert.All(loaded.Programs, p => Assert.Equal(ProgramType.StructOps, p.Program!.Type));
        Assert.Equal(3, loaded.Programs.Count);
    }

    [KernelFact]
    public void An_arena_lies_where_its_author_wants_it()
    {
        // __ulong: a number of 64 bits is the value of an enumerator.
        using var loaded = Load("""
            struct { __uint(type, 33); __uint(map_flags, 1024); __uint(max_entries, 2); enum { address = 1ULL << 44 } map_extra; } arena SEC(".maps");
            SEC("tc") int pass(void *ctx) { return lookup == 0; }
            """);
        var arena = Assert.Single(loaded.Maps).Map;
        Assert.Equal((MapKind.Arena, 1UL << 44), (arena.Kind, arena.Extra));
        unsafe
        {
            Assert.Equal(1UL << 44, (ulong)arena.Storage.Memory);
            arena.Storage.Memory[0] = 1;
        }
    }

    [KernelFact]
    public void A_map_that_asks_for_it_is_pinned_and_shared_by_name()
    {
        const string source = """
            struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u64); __uint(pinning, 1); } shared SEC(".maps");
            struct { __uint(type, 2); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } own SEC(".maps");
            SEC("tc") int count(void *ctx)
            {
                u32 k = 0;
                u64 *v = lookup(&shared, &k), *w = lookup(&own, &k);
                return v && w ? ++*v * 10 + ++*w : -1;
            }
            """;
        using var pins = new TestPins();
        using var first = Load(source, new LoadOptions { PinDirectory = pins.Directory });
        using var second = Load(source, new LoadOptions { PinDirectory = pins.Directory });
        Assert.Equal([11, 21, 32], [Run(first, "count"), Run(second, "count"), Run(second, "count")]);
        Assert.Equal(["shared"], Directory.GetFiles(pins.Directory).Select(Path.GetFileName));
    }
}
