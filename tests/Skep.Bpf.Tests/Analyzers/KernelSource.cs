using System.Collections.Immutable;
using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Skep.Bpf.Analyzers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Analyzers;

/// <summary>A program in C# source, as an editor and as the compiler for the kernel see it.</summary>
internal sealed class KernelSource
{
    private static readonly ImmutableArray<MetadataReference> s_references =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(':').Select(p => MetadataReference.CreateFromFile(p)),
    ];

    private readonly CSharpCompilation _compilation;

    /// <summary>A program <c>P</c> with <paramref name="run"/> as body and <paramref name="members"/> beside it.</summary>
    public KernelSource(string run, string members = "")
    {
        var text = $$"""
            using System; using System.Collections.Generic; using System.Collections.Immutable; using System.Linq; using System.Threading; using System.Threading.Tasks;
            using Skep.Bpf.Maps; using Skep.Bpf.Programming;
            public sealed class P : XdpProgram
            {
                {{members}}
                public override XdpAction Run(ref XdpContext context)
                {
            {{run}}
                }
            }
            """;
        _compilation = CSharpCompilation.Create(
            "Kernel" + Guid.NewGuid().ToString("N"), [CSharpSyntaxTree.ParseText(text)], s_references,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, optimizationLevel: OptimizationLevel.Release, allowUnsafe: true));
        Assert.Empty(_compilation.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error));
    }

    /// <summary>Ids of what the analyzer says, with the text it underlines.</summary>
    public async Task<ImmutableArray<(string Id, string Text)>> AnalyzeAsync()
    {
        var found = await _compilation.WithAnalyzers([new KernelCodeAnalyzer()]).GetAnalyzerDiagnosticsAsync(CancellationToken.None);
        return [.. found.OrderBy(d => d.Location.SourceSpan.Start).Select(d => (d.Id, d.Location.SourceTree!.GetText().ToString(d.Location.SourceSpan)))];
    }

    /// <summary>Id of the rule by which the compiler refuses the program; null when it takes it.</summary>
    public string? Compile()
    {
        using var image = new MemoryStream();
        Assert.True(_compilation.Emit(image).Success);
        var program = (BpfProgram)Activator.CreateInstance(Assembly.Load(image.ToArray()).GetType("P")!)!;
        try
        {
            ProgramCompiler.Compile(program, new CompileTarget());
            return null;
        }
        catch (CompileException e)
        {
            return e.Id;
        }
    }
}
