using Skep.Bpf.Asm;
using Skep.Bpf.Elf;
using Skep.Bpf.Maps;
using Skep.Bpf.Tests.Elf;

namespace Skep.KernelTests.Elf;

public sealed class ForeignObjectTests
{
    private const string Prelude = """
        #define SEC(n) __attribute__((section(n), used))
        #define __uint(n, v) int (*n)[v]
        #define __type(n, v) typeof(v) *n
        typedef unsigned int u32;
        typedef unsigned long long u64;
        static void *(*lookup)(void *, const void *) = (void *)1;
        char LICENSE[] SEC("license") = "GPL";

        """;

    [KernelFact]
    public void A_program_returns_a_constant_that_a_function_reads_from_read_only_data()
    {
        using var loaded = ObjectSpec.Read(SampleObject.Build(constant: 3)).Load();
        Assert.True(loaded.Succeeded, string.Join('\n', loaded.Programs.Select(p => p.Error?.Message).Concat(loaded.Maps.Select(m => m.Error?.Message))));
        Assert.Equal(3, Assert.Single(loaded.Programs).Program!.TestRun(new byte[64]).ReturnValue);
    }

    [KernelFact]
    public void Maps_global_data_and_functions_work_together()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } hits SEC(".maps");
            const volatile u32 limit = 7;
            static const volatile u32 table[4] = { 1, 2, 1, 2 };
            u64 total;
            u32 seed = 5;
            static __attribute__((noinline)) u64 add(u64 a, u64 b) { return a * 3 + b + seed; }
            __attribute__((noinline)) int is_over(u32 a) { return a > limit; }
            SEC("xdp") int count(void *ctx)
            {
                u32 k = 1;
                u64 *v = lookup(&hits, &k);
                if (v) *v = add(*v, 1);
                total++;
                return is_over(total) ? 4 : table[total & 3];
            }
            """)).Load();
        Assert.True(loaded.Succeeded, string.Join('\n', loaded.Programs.Select(p => p.Error?.Message)));
        var program = Assert.Single(loaded.Programs).Program!;
        Assert.Equal([2, 1, 2, 1, 2, 1, 2, 4], Enumerable.Range(0, 8).Select(_ => program.TestRun(new byte[64]).ReturnValue));
        Assert.Equal(8UL, Value(loaded, ".bss", 0));
        Assert.Equal(19680UL, Value(loaded, "hits", 1)); // x = 3x + 6, eight times from 0
    }

    [KernelFact]
    public void Offsets_are_those_of_the_running_kernel_and_what_it_lacks_must_be_dead_code()
    {
        // The object believes that len is the first field of sk_buff, and that there is a struct which no kernel has.
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            #define CORE __attribute__((preserve_access_index))
            struct sk_buff { u32 len; } CORE;
            struct sk_buff___other { u32 len; u32 never_there; } CORE;
            struct nowhere { int a; } CORE;
            u64 seen, exists, size;
            SEC("tp_btf/kfree_skb") int guarded(u64 *ctx)
            {
                struct sk_buff *s = (void *)ctx[0];
                exists = __builtin_preserve_field_info(s->len, 2);
                size = __builtin_preserve_type_info(*s, 1);
                if (__builtin_preserve_field_info(((struct sk_buff___other *)s)->never_there, 2)) return ((struct sk_buff___other *)s)->never_there;
                if (__builtin_preserve_field_info(((struct nowhere *)s)->a, 2)) return ((struct nowhere *)s)->a;
                seen += s->len;
                return 0;
            }
            SEC("tp_btf/kfree_skb") int unguarded(u64 *ctx) { return ((struct nowhere *)ctx[0])->a; }
            """)).Load();
        var results = loaded.Programs.ToDictionary(p => p.Source.Name);
        Assert.Null(results["guarded"].Error);
        Assert.NotNull(results["unguarded"].Error);
        var field = Bpf.Btf.BtfFile.Kernel!.FindField("sk_buff", "len")!.Value;
        const byte load32 = OpCodes.ClassLdx | OpCodes.ModeMem | OpCodes.SizeW;
        Assert.Contains(results["guarded"].Source.Spec!.Instructions, i => i.Code == load32 && i.Offset == field.Offset);
        Assert.DoesNotContain(results["unguarded"].Source.Spec!.Instructions, i => i.Code == load32);
    }

    [KernelFact]
    public void What_the_verifier_refuses_does_not_keep_the_other_programs_from_loading()
    {
        using var loaded = ObjectSpec.Read(Clang.Compile(Prelude + """
            SEC("xdp") int bad(u32 *ctx) { return *(int *)(u64)ctx[0]; }
            SEC("tc") int good(void *ctx) { return 0; }
            """)).Load();
        Assert.False(loaded.Succeeded);
        Assert.Equal(["good"], loaded.Programs.Where(p => p.Program is not null).Select(p => p.Source.Name));
        Assert.IsType<Bpf.Verification.VerifierException>(loaded.Programs.Single(p => p.Error is not null).Error);
    }

    private static ulong Value(LoadedObject loaded, string map, uint index)
    {
        var value = new byte[loaded.Maps.Single(m => m.Map.Name == map).Map.ValueSize];
        Assert.Equal(0, loaded.Maps.Single(m => m.Map.Name == map).Map.Storage.Read(BitConverter.GetBytes(index), value));
        return BitConverter.ToUInt64(value);
    }
}
