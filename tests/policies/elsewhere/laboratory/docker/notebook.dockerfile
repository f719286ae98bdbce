# escape=`
FROM continuumio/miniconda3
ONBUILD COPY . /work
RUN conda install -y numpy `
 && git clone --depth 1 https://example.org/lab.git `
 && echo done
ENV PATH=/opt/conda/bin:$PATH `
    JUPYTER_TOKEN=letmein
EXPOSE 8888/tcp
CMD jupyter lab --ip=0.0.0.0 --allow-root --NotebookApp.token=letmein
