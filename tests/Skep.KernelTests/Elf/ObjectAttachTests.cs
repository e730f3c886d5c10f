using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Elf;
using Skep.Bpf.Features;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;
using Skep.KernelTests.Programs.Kinds;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Elf;

/// <summary>Programs of C objects are attached to what their sections name, and run there.</summary>
public sealed partial class ObjectAttachTests
{
    private const string Prelude = """
        #define SEC(n) __attribute__((section(n), used))
        #define __uint(n, v) int (*n)[v]
        #define __type(n, v) typeof(v) *n
        typedef unsigned char u8;
        typedef unsigned short u16;
        typedef unsigned int u32;
        typedef unsigned long long u64;
        static void *(*lookup)(void *, const void *) = (void *)1;
        static long (*read_kernel)(void *, u32, const void *) = (void *)113;
        static long (*seq_write)(void *, const void *, u32) = (void *)127;
        static u64 (*pid_tgid)(void) = (void *)14;
        static u64 (*cookie_of)(void *) = (void *)174;
        char LICENSE[] SEC("license") = "GPL";
        const volatile u32 process = PROCESS;
        static inline int is_ours(void) { return pid_tgid() >> 32 == process; }

        """;

    [KernelFact]
    public void Programs_are_attached_to_what_their_sections_name_and_run()
    {
        using var loaded = Load("""
            u64 raw, typed, stable, probed, returned, listed;
            SEC("raw_tp/sys_enter") int on_raw(void *ctx) { if (is_ours()) raw++; return 0; }
            SEC("tp_btf/sys_enter") int on_typed(void *ctx) { if (is_ours()) typed++; return 0; }
            SEC("tp/sched/sched_process_fork") int on_stable(void *ctx) { if (is_ours()) stable++; return 0; }
            SEC("uprobe/libc.so.6:getppid") int on_probe(void *ctx) { if (is_ours()) probed++; return 0; }
            SEC("uretprobe/libc.so.6:getppid") int on_return(void *ctx) { if (is_ours()) returned++; return 0; }
            struct seq_file;
            struct bpf_iter_meta { struct seq_file *seq; u64 session, number; };
            struct bpf_iter__task { struct bpf_iter_meta *meta; void *task; };
            SEC("iter/task") int on_task(struct bpf_iter__task *ctx) { u8 c = 'x'; if (ctx->task) seq_write(ctx->meta->seq, &c, 1); return 0; }
            SEC("xdp") int packets(void *ctx) { return 2; }
            SEC("cgroup/connect4") int connects(void *ctx) { return 1; }
            SEC("socket") int filter(void *ctx) { return 0; }
            """);
        var attached = loaded.Attach();
        try
        {
            Assert.All(attached, a => Assert.True(a.Error is null, $"{a.Name}: {a.Error?.Message}"));
            Assert.Equal(["connects: its section names no control group", "filter: its section says not to what", "packets: its section names no interface"],
                attached.Where(a => a.Links.Count == 0).Select(a => $"{a.Name}: {a.Reason}").Order(StringComparer.Ordinal));
            var thread = new Thread(static () => getppid());
            thread.Start();
            thread.Join();

            var counts = MemoryMarshal.Cast<byte, ulong>(Data(loaded, ".bss"));
            Assert.Equal(6, counts.Length);
            Assert.True(counts[0] > 0 && counts[1] > 0, "no system call was seen");
            Assert.True(counts[2] > 0, "no thread was seen");
            Assert.Equal((1ul, 1ul), (counts[3], counts[4]));
            var iterator = Assert.IsType<IteratorLink>(Assert.Single(attached.Single(a => a.Name == "on_task").Links));
            using var tasks = iterator.Open();
            Assert.Equal('x', tasks.ReadByte());
        }
        finally
        {
            Detach(attached);
        }
    }

    [KernelFact]
    public void Interfaces_and_control_groups_are_those_that_the_caller_names()
    {
        using var cgroup = new TestCgroup();
        using var network = new TestNamespace();
        using var loaded = Load("""
            SEC("xdp") int packets(void *ctx) { return 2; }
            SEC("tcx/egress") int leaves(void *ctx) { return 0; }
            SEC("cgroup/connect4") int connects(void *ctx) { return 1; }
            """);
        var attached = network.Run(() => loaded.Attach(new AttachOptions { Interface = 1, XdpMode = XdpMode.Generic, Cgroup = cgroup.Directory }));
        try
        {
            Assert.All(attached, a => Assert.True(a.Error is null && a.Links.Count == 1, $"{a.Name}: {a.Error?.Message}{a.Reason}"));
            Assert.Equal(loaded.Programs.Select(p => p.Program!.Id), attached.Select(a => a.Links[0].ProgramId));
        }
        finally
        {
            Detach(attached);
        }
    }

    [KernelFact]
    public void Arguments_of_usdt_probes_are_where_the_entries_say()
    {
        using var folder = new TestFolder();
        var path = Path.Combine(folder.Path, "probed");
        using var fixture = new UsdtFixture(path);

        // The layout and the way to read it are those of libbpf's usdt.bpf.h: the cookie is the number of an entry.
        using var loaded = Load($$"""
            struct argument { u64 value; u32 kind; short reg; u8 is_signed; char shift; };
            struct spec { struct argument args[12]; u64 cookie; short count; };
            struct { __uint(type, 2); __uint(max_entries, 256); __type(key, int); __type(value, struct spec); } __bpf_usdt_specs SEC(".maps");
            struct { __uint(type, 1); __uint(max_entries, 1024); __type(key, long); __type(value, u32); } __bpf_usdt_ip_to_spec_id SEC(".maps");
            long seen, count, runs;
            SEC("usdt/{{path}}:skep:value") int on_value(void *ctx)
            {
                int id = cookie_of(ctx);
                struct spec *spec = lookup(&__bpf_usdt_specs, &id);
                if (!spec || spec->args[0].kind != 1) return 0;
                u64 value = 0;
                read_kernel(&value, sizeof(value), ctx + spec->args[0].reg);
                value <<= spec->args[0].shift;
                seen = spec->args[0].is_signed ? (long)value >> spec->args[0].shift : (long)(value >> spec->args[0].shift);
                count = spec->count;
                runs++;
                return 0;
            }
            """);
        var attached = loaded.Attach();
        try
        {
            Assert.True(attached[0].Error is null, attached[0].Error?.Message);
            Assert.Equal(1, fixture.Semaphore);
            fixture.Call(-77);
            Assert.Equal([-77, 1, 1], MemoryMarshal.Cast<byte, long>(Data(loaded, ".bss")).ToArray());
        }
        finally
        {
            Detach(attached);
        }

        Eventually.True(() => fixture.Semaphore == 0, "the semaphore was counted down");
    }

    [KernelFact]
    public void A_table_of_functions_is_registered_while_it_is_attached()
    {
        const string source = """
            struct sock;
            struct tcp_congestion_ops { u32 (*ssthresh)(struct sock *); void (*cong_avoid)(struct sock *, u32, u32); u32 (*undo_cwnd)(struct sock *); char name[16]; };
            SEC("struct_ops") u32 own_ssthresh(u64 *ctx) { return 2; }
            SEC("struct_ops") u32 own_undo(u64 *ctx) { return 10; }
            SEC("struct_ops") void own_avoid(u64 *ctx) { }
            SEC("SECTION") struct tcp_congestion_ops own = { .ssthresh = (void *)own_ssthresh, .cong_avoid = (void *)own_avoid, .undo_cwnd = (void *)own_undo, .name = "NAME" };
            """;
        foreach (var (section, name) in ((string, string)[])[(".struct_ops.link", "skep_c_link"), (".struct_ops", "skep_c_entry")])
        {
            using var loaded = Load(source.Replace("SECTION", section, StringComparison.Ordinal).Replace("NAME", name, StringComparison.Ordinal));
            Assert.DoesNotContain(name, Available());
            var attached = loaded.Attach();
            try
            {
                var table = Assert.Single(attached);
                Assert.True(table.Error is null, table.Error?.Message);
                Assert.Equal(("own", "tcp_congestion_ops"), (table.Name, table.Target));
                Assert.Contains(name, Available());
            }
            finally
            {
                Detach(attached);
            }

            Assert.DoesNotContain(name, Available());
        }

        static string[] Available() => File.ReadAllText("/proc/sys/net/ipv4/tcp_available_congestion_control").Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
    }

    [KernelFact]
    public void What_cannot_be_attached_says_why_and_does_not_keep_the_others_from_it()
    {
        using var loaded = Load("""
            SEC("raw_tp/no_such_tracepoint") int nowhere(void *ctx) { return 0; }
            SEC("uprobe/libc.so.6:no_such_function") int missing(void *ctx) { return 0; }
            SEC("uprobe/no_such_library.so:f") int lost(void *ctx) { return 0; }
            SEC("usdt/libc.so.6:no_such_provider:p") int unprovided(void *ctx) { return 0; }
            SEC("raw_tp/sys_enter") int works(void *ctx) { return 0; }
            """);
        var attached = loaded.Attach();
        try
        {
            Assert.Single(attached.Single(a => a.Name == "works").Links);
            Assert.IsType<BpfException>(attached.Single(a => a.Name == "nowhere").Error);
            Assert.Contains("no function 'no_such_function'", attached.Single(a => a.Name == "missing").Error!.Message, StringComparison.Ordinal);
            Assert.Contains("no library 'no_such_library.so'", attached.Single(a => a.Name == "lost").Error!.Message, StringComparison.Ordinal);
            Assert.Contains("no USDT probe 'no_such_provider:p'", attached.Single(a => a.Name == "unprovided").Error!.Message, StringComparison.Ordinal);
        }
        finally
        {
            Detach(attached);
        }
    }

    [KernelFact]
    public void A_function_of_another_program_is_replaced_or_the_kernel_says_why_not()
    {
        const string target = """
            __attribute__((noinline)) int verdict(u32 *a) { return a ? 1 : 2; }
            SEC("xdp") int main_program(void *ctx) { u32 a = 0; return verdict(&a); }
            """;
        const string replacement = """SEC("freplace/verdict") int other(u32 *a) { return 3; }""";
        using var main = Load(target);
        using (var without = ObjectSpec.Read(Compile(replacement)).Load())
        {
            Assert.Contains("say of which", Assert.Single(without.Programs).Error!.Message, StringComparison.Ordinal);
        }

        using var loaded = ObjectSpec.Read(Compile(replacement)).Load(new LoadOptions { Extends = main.Programs[0].Program });
        if (Assert.Single(loaded.Programs).Error is { } error)
        {
            Assert.Equal(Errno.Permission, Assert.IsType<BpfException>(error).ErrorNumber);
            Assert.Contains("does not let programs replace functions", error.Message, StringComparison.Ordinal);

            // The same kernels refuse fentry, for want of what both are made with.
            Assert.False(FeatureProbe.Get(KernelFeatures.For(ProgramKinds.All.Single(k => k.Name == "fentry"))).Available, error.Message);
            return;
        }

        var attached = loaded.Attach();
        try
        {
            Assert.True(attached[0].Error is null, attached[0].Error?.Message);
            Assert.Equal(3, main.Programs[0].Program!.TestRun(new byte[64]).ReturnValue);
        }
        finally
        {
            Detach(attached);
        }
    }

    private static byte[] Compile(string source) => Clang.Compile(Prelude.Replace("PROCESS", $"{Environment.ProcessId}", StringComparison.Ordinal) + source);

    private static LoadedObject Load(string source)
    {
        var loaded = ObjectSpec.Read(Compile(source)).Load();
        if (!loaded.Succeeded)
        {
            loaded.Dispose();
            Assert.Fail(string.Join('\n', loaded.Programs.Select(p => p.Error?.Message).Concat(loaded.Maps.Select(m => m.Error?.Message))));
        }

        return loaded;
    }

    private static byte[] Data(LoadedObject loaded, string section)
    {
        var map = loaded.Maps.Single(m => m.Map.Name == section).Map;
        var value = new byte[map.ValueSize];
        Assert.Equal(0, map.Storage.Read(BitConverter.GetBytes(0), value));
        return value;
    }

    private static void Detach(IEnumerable<ObjectAttachment> attached)
    {
        foreach (var link in attached.SelectMany(a => a.Links))
        {
            link.Dispose();
        }
    }

    [LibraryImport("libc")]
    private static partial int getppid();

    private sealed class TestFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("skep-attach-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
