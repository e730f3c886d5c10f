using System.Reflection;
using System.Text.RegularExpressions;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Features;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Features;

/// <summary>
/// What the tables list, a kernel test shows: every kind of program and map that the kernel at hand offers is loaded, attached and seen at work by some test of this assembly, and one
/// that it refuses says why.
/// </summary>
public partial class CoverageTests
{
    private static readonly MethodInfo[] s_tests =
    [
        .. typeof(CoverageTests).Assembly.GetTypes()
            .SelectMany(static type => type.GetMethods(BindingFlags.Instance | BindingFlags.Public))
            .Where(static method => method.GetCustomAttributes().OfType<FactAttribute>().Any()),
    ];

    public static TheoryData<string> Programs => [.. ProgramKinds.All.Select(static kind => kind.Name)];

    public static TheoryData<MapKind> Maps => [.. MapKinds.All.Select(static row => row.Kind)];

    [KernelTheory]
    [MemberData(nameof(Programs))]
    public void A_kind_of_program_is_seen_at_work_or_says_why_not(string name)
    {
        var kind = ProgramKinds.All.Single(k => k.Name == name);
        var status = FeatureProbe.Get(KernelFeatures.For(kind));
        if (status.Available)
        {
            var isProved = s_tests.Any(test => test.GetCustomAttributes<ProvesAttribute>().Any(proof => proof.Kinds.Contains(name)));
            Assert.SkipWhen(!isProved && kind.Program is null, $"{name} has no C# class: its programs come from object files of other compilers");
            Assert.True(isProved, $"no test says that it proves {name}");
            return;
        }

        Assert.NotEmpty(status.Reason);
        if (kind.ProbePath is not null || kind.ProbeType is not null)
        {
            // The program alone would load: there is nothing to attach it to, which the reason says.
            return;
        }

        var section = kind.Sections[0];
        var code = new Assembler().Move(Register.R0, kind.ProbeReturns).Exit().Build("refused", kind.Type);
        var spec = new ProgramSpec
        {
            Name = code.Name, Type = code.Type, Instructions = code.Instructions, ExpectedAttachType = section.Attach, Flags = section.Flags, AttachTarget = kind.ProbeTarget,
        };
        var refusal = Record.Exception(() => ProgramLoader.Load(spec).Dispose());
        Assert.True(refusal is BpfException or NotSupportedException, $"{name}: the probe says '{status.Reason}', loading gives {refusal?.GetType().Name ?? "no error"}");
        Assert.True(refusal!.Message.Length > 40, refusal.Message);
    }

    [KernelTheory]
    [MemberData(nameof(Maps))]
    public void A_kind_of_map_is_seen_at_work_or_says_why_not(MapKind kind)
    {
        var status = FeatureProbe.Get(KernelFeatures.For(kind));
        if (status.Available)
        {
            Assert.Contains(s_tests, test => test.GetCustomAttributes<ProvesMapAttribute>().Any(proof => proof.Kinds.Contains(kind)));
        }
        else
        {
            Assert.NotEmpty(status.Reason);
        }
    }

    [Fact]
    public void Every_kind_of_map_has_a_row() =>
        Assert.Equal(Enum.GetValues<MapKind>().Order(), MapKinds.All.Select(static row => row.Kind));

    [Fact]
    public void What_a_test_claims_to_prove_is_in_the_table()
    {
        var names = ProgramKinds.All.Select(static k => k.Name).ToHashSet();
        Assert.All(s_tests.SelectMany(static t => t.GetCustomAttributes<ProvesAttribute>()).SelectMany(static p => p.Kinds), kind => Assert.Contains(kind, names));
        Assert.All(
            s_tests.Where(static t => t.IsDefined(typeof(ProvesAttribute)) || t.IsDefined(typeof(ProvesMapAttribute))),
            test => Assert.True(test.IsDefined(typeof(KernelFactAttribute)) || test.IsDefined(typeof(KernelTheoryAttribute)), $"{test.Name} does not need a kernel"));
    }

    [Fact]
    public void A_skip_has_a_reason()
    {
        foreach (var test in s_tests)
        {
            var fact = test.GetCustomAttributes().OfType<FactAttribute>().Single();
            Assert.True(fact.Skip is null || fact.Skip.Trim().Length >= 10, $"{test.DeclaringType!.Name}.{test.Name} is skipped because of '{fact.Skip}'");
        }

        foreach (var file in Directory.GetFiles(Tests, "*.cs", SearchOption.AllDirectories).Where(static f => !f.EndsWith("CoverageTests.cs", StringComparison.Ordinal)))
        {
            Assert.DoesNotMatch(EmptySkip(), File.ReadAllText(file));
        }
    }

    private static string Tests
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "skep.slnx")))
                {
                    return Path.Combine(folder.FullName, "tests");
                }
            }

            throw new InvalidOperationException($"no skep.slnx above {AppContext.BaseDirectory}");
        }
    }

    [GeneratedRegex(@"(Skip|SkipUnless|SkipWhen|Require)\([^""$;]*""\s*""\s*\)|Skip = ""\s*""")]
    private static partial Regex EmptySkip();
}
