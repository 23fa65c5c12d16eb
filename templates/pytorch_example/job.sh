python3 {{template_dir}}/train.py \
  --epochs {{params.epochs}} --learning-rate {{params.learning_rate}} \
  --hidden {{params.hidden}} --seed {{params.seed}}
