using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;

namespace Skep.KernelTests.Elf;

/// <summary>Objects that were compiled apart and work together.</summary>
public sealed class LinkedObjectTests
{
    private const string Prelude = """
        #define SEC(n) __attribute__((section(n), used))
        #define WEAK __attribute__((weak))
        #define NOINLINE __attribute__((noinline))
        #define __uint(n, v) int (*n)[v]
        #define __type(n, v) typeof(v) *n
        typedef unsigned int u32;
        typedef unsigned long long u64;
        static void *(*lookup)(void *, const void *) = (void *)1;
        char LICENSE[] SEC("license") = "GPL";
        struct counts { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); };
        struct sk_buff { u32 len; } __attribute__((preserve_access_index));

        """;

    private const string Library = Prelude + """
        struct counts shared SEC(".maps");
        u32 limit = 40;
        const volatile u32 step = 2;
        static u32 calls;
        static NOINLINE u32 scaled(u32 by) { calls++; return by * step; }
        NOINLINE int add(u32 key, u32 by)
        {
            u64 *v = lookup(&shared, &key);
            if (v) *v += scaled(by);
            return calls;
        }
        WEAK NOINLINE int choice(u32 x) { return 1 + x; }
        SEC("tc") int library(void *ctx) { return add(0, 5) + choice(100); }
        """;

    private const string Main = Prelude + """
        extern struct counts shared SEC(".maps");
        extern u32 limit;
        int add(u32 key, u32 by);
        static u32 calls = 1000;
        NOINLINE int choice(u32 x) { return 2 + x; }
        SEC("tc") int main_program(void *ctx)
        {
            u32 k = 0;
            u64 *v = lookup(&shared, &k);
            int n = add(0, limit);
            return v ? *v * 10 + n + calls - 1000 + choice(0) * 10000 : -1;
        }
        SEC("tp_btf/kfree_skb") int traced(u64 *ctx) { return ((struct sk_buff *)ctx[0])->len & 0; }
        """;

    [KernelFact]
    public void Functions_maps_and_variables_of_one_object_are_used_by_the_other()
    {
        using var loaded = ObjectSpec.Read(ObjectLinker.Link([("main.o", Clang.Compile(Main)), ("library.o", Clang.Compile(Library))])).Load();
        Assert.True(loaded.Succeeded, string.Join('\n', loaded.Programs.Select(p => p.Error?.Message).Concat(loaded.Maps.Select(m => m.Error?.Message))));
        Assert.Equal([".bss", ".data", ".rodata", "shared"], loaded.Maps.Select(m => m.Map.Name).Order());

        // limit 40, step 2, the first call of add, and the strong choice rather than the weak one.
        Assert.Equal(20801, Run(loaded, "main_program"));
        Assert.Equal(2 + 102, Run(loaded, "library"));
        Assert.Equal(20000 + ((80 + 10 + 80) * 10) + 3, Run(loaded, "main_program"));
    }

    [KernelFact]
    public void The_order_of_the_objects_does_not_matter()
    {
        using var loaded = ObjectSpec.Read(ObjectLinker.Link([("library.o", Clang.Compile(Library)), ("main.o", Clang.Compile(Main))])).Load();
        Assert.True(loaded.Succeeded, string.Join('\n', loaded.Programs.Select(p => p.Error?.Message).Concat(loaded.Maps.Select(m => m.Error?.Message))));
        Assert.Equal(20801, Run(loaded, "main_program"));
    }

    [KernelFact]
    public void One_object_linked_alone_is_what_it_was()
    {
        var whole = Clang.Compile(Library);
        var (before, after) = (ObjectSpec.Read(whole), ObjectSpec.Read(ObjectLinker.Link([("library.o", whole)])));
        Assert.Equal(before.Program("library").Instructions, after.Program("library").Instructions);
        Assert.Equal(before.Program("library").Lines, after.Program("library").Lines);
        Assert.Equal(before.Maps.Select(m => (m.Name, m.Kind, m.ValueSize)), after.Maps.Select(m => (m.Name, m.Kind, m.ValueSize)));
    }

    [KernelFact]
    public void What_two_objects_define_and_what_none_does_is_said()
    {
        var library = Clang.Compile(Library);
        var twice = Assert.Throws<ElfFormatException>(() => ObjectLinker.Link([("a.o", library), ("b.o", library)]));
        Assert.Contains("is defined by 'a.o' and by 'b.o'", twice.Message, StringComparison.Ordinal);
        var alone = ObjectSpec.Read(ObjectLinker.Link([("main.o", Clang.Compile(Main))]));
        Assert.Contains("'shared' is neither in the object", alone.Programs.Single(p => p.Name == "main_program").Problem, StringComparison.Ordinal);
        Assert.Null(alone.Programs.Single(p => p.Name == "traced").Problem);
    }

    private static int Run(LoadedObject loaded, string program) =>
        loaded.Programs.Single(p => p.Source.Name == program).Program!.TestRun(new byte[64]).ReturnValue;
}
