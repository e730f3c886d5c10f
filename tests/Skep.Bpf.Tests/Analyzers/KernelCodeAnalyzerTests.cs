namespace Skep.Bpf.Tests.Analyzers;

/// <summary>What is underlined while typing is what the compiler refuses, and code that it takes stays clean.</summary>
public sealed class KernelCodeAnalyzerTests
{
    [Theory]
    [InlineData("SKEP0001", "new object()", "var o = new object(); return o.GetHashCode() > 0 ? XdpAction.Pass : XdpAction.Drop;")]
    [InlineData("SKEP0001", "new byte[context.RxQueue]", "var a = new byte[context.RxQueue]; a[0] = 1; return (XdpAction)a[0];")]
    [InlineData("SKEP0001", "[context.RxQueue, 2]", "List<uint> a = [context.RxQueue, 2]; return (XdpAction)a[0];")]
    [InlineData("SKEP0001", "context.RxQueue", "object o = context.RxQueue; return o is 5u ? XdpAction.Pass : XdpAction.Drop;")]
    [InlineData("SKEP0001", "1.5", "return context.RxQueue * 1.5 > 90 ? XdpAction.Pass : XdpAction.Drop;")]
    [InlineData("SKEP0001", "\"GET\"", "var s = \"GET\"; return (XdpAction)s.Length;")]
    [InlineData("SKEP0001", "DateTime.Now.AddDays(context.RxQueue)", "return (XdpAction)(DateTime.Now.AddDays(context.RxQueue).Day & 1);")]
    [InlineData("SKEP0001", "() => length", "var length = context.RxQueue; Func<uint> f = () => length; return (XdpAction)f();")]
    [InlineData("SKEP0002", "s_count", "s_count++; return XdpAction.Pass;", "static int s_count;")]
    [InlineData("SKEP0002", "_count", "_count++; return XdpAction.Pass;", "int _count;")]
    [InlineData("SKEP0002", "Limit", "return context.RxQueue > Limit ? XdpAction.Drop : XdpAction.Pass;", "public uint Limit { get; set; } = 100;")]
    [InlineData("SKEP0003", "throw new Exception();", "if (context.RxQueue > 100) throw new Exception(); return XdpAction.Pass;")]
    [InlineData("SKEP0003", "try { Touch(context.RxQueue); } catch { Touch(1); }", "try { Touch(context.RxQueue); } catch { Touch(1); } return XdpAction.Pass;", "static void Touch(uint a) { }")]
    [InlineData("SKEP0003", "checked(context.RxQueue + 5)", "return (XdpAction)checked(context.RxQueue + 5);", "", "context.RxQueue + 5")]
    [InlineData("SKEP0004", "Count(n - 1)", "return (XdpAction)Count(context.RxQueue);", "static uint Count(uint n) => n == 0 ? 0 : 1 + Count(n - 1);")]
    public async Task What_the_compiler_refuses_is_underlined_by_the_same_number(string id, string text, string run, string members = "", string? underlined = null)
    {
        var source = new KernelSource(run, members);
        Assert.Equal(id, source.Compile());
        Assert.Contains((id, underlined ?? text), await source.AnalyzeAsync());
    }

    [Theory]
    [InlineData("try { Touch(context.RxQueue); } finally { Touch(1); } return XdpAction.Pass;", "static void Touch(uint a) { }")]
    [InlineData("return context.RxQueue > 100 ? XdpAction.Drop : XdpAction.Pass;")]
    [InlineData("return context.RxQueue > _limit ? XdpAction.Drop : XdpAction.Pass;", "private readonly uint _limit = 9;")]
    [InlineData("return context.RxQueue > Limit ? XdpAction.Drop : XdpAction.Pass;", "public uint Limit { get; } = 9;")]
    [InlineData("Span<byte> room = stackalloc byte[8]; room[1] = 1; return (XdpAction)room[1];")]
    [InlineData("var p = new Pair(context.RxQueue, 2); return (XdpAction)(p.A & p.B);", "record struct Pair(uint A, uint B);")]
    [InlineData("return (XdpAction)Sum(context.RxQueue, (3, 4));", "static uint Sum(uint a, (uint X, uint Y) b) => a + b.X + b.Y;")]
    [InlineData("return context.RxQueue switch { < 10 => XdpAction.Drop, 10 or 11 => XdpAction.Tx, _ => XdpAction.Pass };")]
    public async Task Code_that_the_compiler_takes_stays_clean(string run, string members = "")
    {
        var source = new KernelSource(run, members);
        Assert.Null(source.Compile());
        Assert.Empty(await source.AnalyzeAsync());
    }

    [Fact]
    public async Task What_a_program_calls_is_kernel_code_too_and_everything_else_is_not()
    {
        var source = new KernelSource(
            "return (XdpAction)_stage.Decide(context.RxQueue);",
            """
            public P() { Console.WriteLine("made"); }
            private readonly Stage _stage = new Long();
            abstract class Stage { public abstract uint Decide(uint length); }
            sealed class Long : Stage { public override uint Decide(uint length) => (uint)(length * 0.5); }
            void Print() { var texts = new List<string> { "a" }; foreach (var t in texts) Console.WriteLine(t); }
            """);

        Assert.Equal("SKEP0001", source.Compile());
        Assert.Equal(["length", "0.5"], (await source.AnalyzeAsync()).Select(d => d.Text));
    }

    [Fact]
    public async Task A_file_without_programs_is_left_alone()
    {
        var source = new KernelSource("return XdpAction.Pass;", "static int s_made; public static object Make() { s_made++; return new object(); }");
        Assert.Empty(await source.AnalyzeAsync());
    }
}
